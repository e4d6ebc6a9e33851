// old_kernel COMMAND…: runs the command as if on Linux 3.17: each later system call fails with
// ENOSYS. Later flags of older calls work as they do on this kernel.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <vector>

namespace {

// From 424 on, all architectures have the same numbers, and all calls are later ones. Calls with
// lower numbers are not ordered by age.
constexpr unsigned first_common_number = 424;
constexpr std::array later_calls{
#ifdef SYS_rseq
    SYS_rseq,
#endif
    SYS_execveat,      SYS_membarrier,    SYS_mlock2,      SYS_copy_file_range, SYS_preadv2,
    SYS_pwritev2,      SYS_pkey_mprotect, SYS_pkey_alloc,  SYS_pkey_free,       SYS_statx,
    SYS_io_pgetevents, SYS_bpf,           SYS_userfaultfd,
};

sock_filter statement(unsigned code, unsigned value) {
  return {static_cast<unsigned short>(code), 0, 0, value};
}

/// Executes the next statement if the comparison with `value` is true, otherwise skips it.
sock_filter unless(unsigned comparison, unsigned value) {
  return {static_cast<unsigned short>(BPF_JMP | comparison | BPF_K), 0, 1, value};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 125;
  const sock_filter refused = statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
  std::vector<sock_filter> program{statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                                   unless(BPF_JGE, first_common_number), refused};
  for (const int call : later_calls) {
    program.push_back(unless(BPF_JEQ, static_cast<unsigned>(call)));
    program.push_back(refused);
  }
  program.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    std::perror("old_kernel: seccomp");
    return 125;
  }
  execvp(argv[1], argv + 1);
  std::perror(argv[1]);
  return 127;
}
