// SPDX-License-Identifier: Apache-2.0
/* answer - what leaves
 *
 * Role        Turns the answer half of a request into bytes on the connection, with latency, rate
 *             and faults. Bodies of objects go out by sendfile where nothing stands against it.
 */
#ifndef OBSLOCAL_ANSWER_H
#define OBSLOCAL_ANSWER_H

#include "tests/obs-local/server.h"

/* Both return what libmicrohttpd's handler returns. */
enum MHD_Result answer_send(struct request *r);
/* Ends the connection with a TCP reset. */
enum MHD_Result answer_reset(struct request *r);

#endif
