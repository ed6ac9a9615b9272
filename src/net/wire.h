/* SPDX-License-Identifier: MIT */
/* The libcurl callbacks of one transfer. They run on the engine's thread,
 * touch no Lua, and only append to bounded buffers. */
#ifndef FY_NET_WIRE_H
#define FY_NET_WIRE_H

#include <curl/curl.h>
#include <stddef.h>

/* `context` is a struct fy_transfer, but where it says otherwise. */
size_t fy_wire_header(char *data, size_t one, size_t size, void *context);
size_t fy_wire_write(char *data, size_t one, size_t size, void *context);
size_t fy_wire_read(char *data, size_t one, size_t size, void *context);
int fy_wire_seek(void *context, curl_off_t offset, int origin);
int fy_wire_progress(void *context, curl_off_t receive_total,
                     curl_off_t received, curl_off_t send_total,
                     curl_off_t sent);
int fy_wire_resolver_start(void *resolver, void *reserved, void *context);
curl_socket_t fy_wire_open_socket(void *context, curlsocktype purpose,
                                  struct curl_sockaddr *address);
/* `context` is the engine here: a connection outlives its transfers. */
int fy_wire_close_socket(void *context, curl_socket_t fd);
int fy_wire_prereq(void *context, char *to_ip, char *from_ip, int to_port,
                   int from_port);

#endif
