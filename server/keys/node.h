/*
 * Places in the two trees of keys. A node is (tree, level from the leaves, index); its
 * parent is (tree, level + 1, index / 32), which holds its key at place index mod 32.
 *
 * Tree S: level 0 are the keyrings by slot number; every level above is pages; the top is
 * at the height that the root page says. Tree B: an index is the leading bits of a
 * look-up tag; its top is always (B, NODE_B_TOP, 0); a node is a bucket until it is full, and then
 * a page over 32 buckets one level below.
 */
#ifndef SERVER_KEYS_NODE_H
#define SERVER_KEYS_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/bytes.h"
#include "server/must.h"

#define NODE_FANOUT 32u
#define NODE_BITS 5u
#define NODE_S 1u
#define NODE_B 2u
#define NODE_B_TOP 12u		/* 60 bits of the tag */
#define NODE_S_TOP_MAX 12u
#define NODE_KEY_LEN 10u

struct node {
	uint8_t tree, level;
	uint64_t index;
};

static inline struct node
node_parent(struct node n)
{
	return (struct node){ n.tree, (uint8_t)(n.level + 1), n.index >> NODE_BITS };
}

static inline unsigned
node_place(struct node n)
{
	return (unsigned)(n.index % NODE_FANOUT);
}

static inline bool
node_equal(struct node a, struct node b)
{
	return a.tree == b.tree && a.level == b.level && a.index == b.index;
}

static inline struct node
node_of_slot(uint64_t slot)
{
	return (struct node){ NODE_S, 0, slot };
}

/* The node of tree B that covers a tag at ${level}. */
static inline struct node
node_of_tag(const uint8_t tag[static 8], unsigned level)
{
	must(level <= NODE_B_TOP);
	return (struct node){ NODE_B, (uint8_t)level, (bytes_get64(tag) >> 4) >> (NODE_BITS * level) };
}

/* Key of a node's row in the store: tree, level, index. */
static inline void
node_key(struct node n, uint8_t out[static NODE_KEY_LEN])
{
	out[0] = n.tree;
	out[1] = n.level;
	bytes_put64(out + 2, n.index);
}

#endif /* SERVER_KEYS_NODE_H */
