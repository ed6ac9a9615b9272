/* SPDX-License-Identifier: MIT */
/* Descriptors that libcurl makes for itself, out of a program's children:
 * until 8.x it does not mark the socket pairs with which its threads are
 * woken. Only a child that another thread starts in the few microseconds
 * between the making and the marking still gets one. */
#ifndef FY_NET_CLOEXEC_H
#define FY_NET_CLOEXEC_H

#include <curl/curl.h>

/* Mark a descriptor that libcurl asks to watch; of a socket pair, both ends.
 * Cheap for one that is marked. */
void fy_cloexec_watched(int fd);

/* Mark the pair behind curl_multi_wakeup, if this libcurl has one. */
void fy_cloexec_wakeup(CURLM *multi);

#endif
