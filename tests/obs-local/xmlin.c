// SPDX-License-Identifier: Apache-2.0
/* XML bodies, see xmlin.h */
#include "tests/obs-local/xmlin.h"

#include <string.h>

#include <libxml/parser.h>

xmlDoc *xmlin_parse(const struct buf *body, const char *root)
{
    xmlDoc *doc = xmlReadMemory(buf_str(body), (int)body->n, NULL, NULL,
                                XML_PARSE_NONET | XML_PARSE_NOBLANKS | XML_PARSE_NOERROR |
                                    XML_PARSE_NOWARNING);
    xmlNode *top = doc ? xmlDocGetRootElement(doc) : NULL;
    if (doc && (!top || doc->intSubset || strcmp((const char *)top->name, root) != 0)) {
        xmlFreeDoc(doc);
        return NULL;
    }
    return doc;
}

xmlNode *xmlin_find(xmlNode *node, const char *name)
{
    for (; node; node = node->next) {
        if (node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0)
            return node;
    }
    return NULL;
}

const char *xmlin_text(struct arena *a, xmlNode *parent, const char *name)
{
    xmlNode *node = xmlin_find(parent->children, name);
    if (!node)
        return NULL;
    xmlChar *text = xmlNodeGetContent(node);
    char *copy = arena_dup(a, text ? (const char *)text : "");
    xmlFree(text);
    return copy;
}
