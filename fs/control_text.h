// SPDX-License-Identifier: Apache-2.0
/* control_text - the fixed texts of the control files */
#ifndef OBSM_FS_CONTROL_TEXT_H
#define OBSM_FS_CONTROL_TEXT_H

/* The file README. */
const char *control_text_readme(void);
/* What reading `ctl` gives: its commands. */
const char *control_text_ctl(void);

#endif
