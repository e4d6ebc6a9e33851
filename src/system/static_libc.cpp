// Replaces functions of the C library that a static program must not call, because they load shared
// libraries of exactly the version that the program was linked with. OpenSSL and c-ares contain
// code that calls them, which memolock never reaches. The linker replaces them with the functions
// of this file (--wrap in CMakeLists.txt), each of which reports that nothing was found.
#ifdef MEMOLOCK_STATIC

#include <netdb.h>

#include <cerrno>

extern "C" {
// Declared first, because the compiler warns about functions that no header declares.
int no_getaddrinfo() __asm__("__wrap_getaddrinfo");
hostent* no_gethostbyname() __asm__("__wrap_gethostbyname");
servent* no_getservbyname() __asm__("__wrap_getservbyname");
int no_getservbyname_r(const char*, const char*, servent*, char*, size_t,
                       servent** result) __asm__("__wrap_getservbyname_r");
int no_getservbyport_r(int, const char*, servent*, char*, size_t,
                       servent** result) __asm__("__wrap_getservbyport_r");
void* no_dlopen() __asm__("__wrap_dlopen");

int no_getaddrinfo() { return EAI_FAIL; }
hostent* no_gethostbyname() { return nullptr; }
servent* no_getservbyname() { return nullptr; }
int no_getservbyname_r(const char*, const char*, servent*, char*, size_t, servent** result) {
  *result = nullptr;
  return ENOENT;
}
int no_getservbyport_r(int, const char*, servent*, char*, size_t, servent** result) {
  *result = nullptr;
  return ENOENT;
}
void* no_dlopen() { return nullptr; }
}

#endif
