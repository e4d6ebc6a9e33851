// Starts processes and measures them.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace bench {

using Milliseconds = std::chrono::duration<double, std::milli>;
using Words = std::vector<std::string>;

inline Words joined(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

inline Milliseconds now() {
  return std::chrono::duration_cast<Milliseconds>(
      std::chrono::steady_clock::now().time_since_epoch());
}

/// Where a process's stdout goes.
enum class To { dev_null, splicing_reader };

struct Finished {
  Milliseconds wall{0};
  long peak_kib = 0;  ///< of the largest process
  int status = 0;
};

inline pid_t start(const Words& words, int out) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error(words[0] + ": " + strerror(error));
  return pid;
}

inline Finished finish(pid_t pid, Milliseconds begun) {
  Finished finished;
  rusage usage{};
  int status = 0;
  while (wait4(pid, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  finished.wall = now() - begun;
  finished.peak_kib = usage.ru_maxrss;
  finished.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return finished;
}

/// Runs the command `words` and waits for its end. The measured time includes the time of the
/// reader.
inline Finished run(const Words& words, To to) {
  static const int dev_null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (to == To::dev_null) {
    const Milliseconds begun = now();
    return finish(start(words, dev_null), begun);
  }
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  const Milliseconds begun = now();
  const pid_t pid = start(words, ends[1]);
  close(ends[1]);
  while (splice(ends[0], nullptr, dev_null, nullptr, 1U << 20, 0) > 0) {
  }
  close(ends[0]);
  return finish(pid, begun);
}

template <typename Value>
Value median(std::vector<Value> values) {
  std::sort(values.begin(), values.end());
  return values.at(values.size() / 2);
}

}  // namespace bench
