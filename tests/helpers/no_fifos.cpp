// no_fifos COMMAND…: runs the command as if its files were on a file system without FIFOs, hard
// links and O_TMPFILE. Only mknod(2) without a directory descriptor, with which memolock makes
// FIFOs in /tmp, still works.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>

namespace {

constexpr auto number = offsetof(seccomp_data, nr);
/// The lower half of an argument, which contains an int completely.
constexpr unsigned argument(unsigned index) {
  return static_cast<unsigned>(offsetof(seccomp_data, args) + index * sizeof(__u64));
}

constexpr sock_filter load(unsigned offset) { return {BPF_LD | BPF_W | BPF_ABS, 0, 0, offset}; }

/// Skips the first number of statements if the comparison with `value` is true, otherwise the
/// second.
constexpr sock_filter compare(unsigned short comparison, unsigned value, unsigned char if_so,
                              unsigned char if_not) {
  return {static_cast<unsigned short>(BPF_JMP | comparison | BPF_K), if_so, if_not, value};
}

constexpr sock_filter answer(unsigned what) { return {BPF_RET | BPF_K, 0, 0, what}; }

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 125;
  constexpr unsigned nameless = O_TMPFILE & ~O_DIRECTORY;
  std::array program{
      load(number),
      compare(BPF_JEQ, SYS_mknodat, 2, 0),
      compare(BPF_JEQ, SYS_linkat, 4, 0),
      compare(BPF_JEQ, SYS_openat, 4, 6),
      load(argument(0)),
      compare(BPF_JEQ, static_cast<unsigned>(AT_FDCWD), 4, 0),
      answer(SECCOMP_RET_ERRNO | EPERM),
      answer(SECCOMP_RET_ERRNO | EPERM),
      load(argument(2)),
      compare(BPF_JSET, nameless, 1, 0),
      answer(SECCOMP_RET_ALLOW),
      answer(SECCOMP_RET_ERRNO | EOPNOTSUPP),
  };
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    std::perror("no_fifos: seccomp");
    return 125;
  }
  execvp(argv[1], argv + 1);
  std::perror(argv[1]);
  return 127;
}
