// SPDX-License-Identifier: Apache-2.0
/* xmlin - the XML bodies of requests
 *
 * Role        libxml2 without network, entities or blanks; names are compared without their
 *             namespace.
 */
#ifndef OBSLOCAL_XMLIN_H
#define OBSLOCAL_XMLIN_H

#include <libxml/tree.h>

#include "tests/obs-local/text.h"

/* The document, if its root is called `root`; NULL: malformed. Free it with xmlFreeDoc(). */
xmlDoc *xmlin_parse(const struct buf *body, const char *root);
/* The next element called `name` among `node` and those after it; NULL: none. */
xmlNode *xmlin_find(xmlNode *node, const char *name);
/* The text of the child called `name`, in the arena; NULL: no such child. */
const char *xmlin_text(struct arena *a, xmlNode *parent, const char *name);

#endif
