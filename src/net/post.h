/* SPDX-License-Identifier: MIT */
/* What is posted to the engine: an object with a set of wishes. An object
 * stands in the queue once, whatever is wished of it meanwhile, so posting
 * never allocates and the queue cannot grow past the objects there are. */
#ifndef FY_NET_POST_H
#define FY_NET_POST_H

struct fy_engine;
struct fy_post;

struct fy_post_type {
  /* Carry the wishes out. Engine thread. */
  void (*handle)(struct fy_engine *engine, struct fy_post *post,
                 unsigned wishes);
  void (*ref)(struct fy_post *post);
  void (*unref)(struct fy_post *post);
};

struct fy_post {
  const struct fy_post_type *type;
  struct fy_post *next;
  unsigned wishes; /* under the engine's queue lock, like the rest */
  int queued;
};

#endif
