// Preloaded into peers that would listen on every interface: whatever they ask for, they listen on 127.0.0.1 only.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/socket.h>

int bind(int fd, const struct sockaddr *asked, socklen_t size) {
  int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
  if (asked->sa_family != AF_INET) return next(fd, asked, size);
  struct sockaddr_in loopback = *(const struct sockaddr_in *)asked;
  loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return next(fd, (const struct sockaddr *)&loopback, sizeof loopback);
}
