#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>
#include <new>
#include <string>
#include <system_error>

#include "cli/option_rules.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/redis/address.hpp"
#include "src/system/daemonize.hpp"
#include "src/system/descriptor.hpp"
#include "src/system/error.hpp"
#include "src/system/exit_status.hpp"
#include "src/system/inherited_children.hpp"
#include "src/system/message.hpp"
#include "src/system/signals.hpp"
#include "src/system/text.hpp"

namespace memolock {
namespace {

/// Prints one line, escaped, since a message may quote text of any origin.
void print_line(std::string_view line) {
  write_message("memolock: " + escape_controls(line) + "\n");
}

/// Replaces standard streams that the caller has closed, so that a file that is opened later does
/// not get one of their numbers. Reading from or writing to a replacement fails, as it would on a
/// closed stream.
void occupy_closed_streams() {
  std::array<pollfd, 3> streams{
      {{STDIN_FILENO, 0, 0}, {STDOUT_FILENO, 0, 0}, {STDERR_FILENO, 0, 0}}};
  (void)poll(streams.data(), streams.size(), 0);
  for (const pollfd& stream : streams)
    if ((stream.revents & POLLNVAL) != 0)
      (void)open("/dev/null", stream.fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/// Removes the passwords of store URLs from the command line, which ps(1) shows. Call it after the
/// command line has been read.
void hide_passwords(int argc, char** argv) {
  constexpr std::string_view option = "--store=";
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const std::string_view url = word.substr(word.starts_with(option) ? option.size() : 0);
    const std::string shown = without_password(url);
    if (shown.size() >= url.size()) continue;
    char* const begin = argv[i] + (word.size() - url.size());
    std::fill(std::copy(shown.begin(), shown.end(), begin), argv[i] + word.size(), '\0');
  }
}

bool runs_command(Verb verb) {
  return verb == Verb::get || verb == Verb::once || verb == Verb::lock;
}

ProcessEnd run_verb(const Options& options, const Log& log) {
  if (runs_command(options.verb) && !options.words.empty()) leave_inherited_children();
  for (const std::string& warning : options.warnings) log.warn("{}", warning);
  for (const std::string& remark : options.infos) log.info("{}", remark);
  check_combination(options);
  switch (options.verb) {
    case Verb::get:
      return run_get(options, log);
    case Verb::once:
      return run_once(options, log);
    case Verb::lock:
      return run_lock(options, log);
    case Verb::key:
      return run_key(options, log);
    case Verb::set:
      return run_set(options, log);
    case Verb::fail:
      return run_fail(options, log);
    case Verb::renew:
      return run_renew(options, log);
    case Verb::del:
      return run_del(options, log);
    case Verb::ls:
      return run_ls(options, log);
    case Verb::show:
      return run_show(options, log);
    case Verb::stats:
      return run_stats(options, log);
    case Verb::gc:
      return run_gc(options, log);
    case Verb::doctor:
      return run_doctor(options, log);
    case Verb::completion:
      return run_completion(options, log);
  }
  return {exit_status::own_error};
}

/// The message for an exception. The messages of libraries are replaced, because they would not
/// help a user.
std::string message_of(const std::exception& exception) {
  if (const auto* const error = dynamic_cast<const Error*>(&exception)) return error->what();
  if (dynamic_cast<const std::bad_alloc*>(&exception) != nullptr) return "out of memory";
  if (const auto* const error = dynamic_cast<const std::system_error*>(&exception))
    return "a system call failed: " + error_text(error->code().value());
  return "internal error; please report it with the command line";
}

/// Does not depend on memory allocation.
void print_error(const std::exception& exception) noexcept {
  if (failure_of([&] { print_line(message_of(exception)); }))
    write_message("memolock: out of memory\n");
}

/// The handler of uncaught exceptions, for example in a thread. The default handler would print a
/// message of its own and abort.
[[noreturn]] void end_uncaught() {
  try {
    if (const auto exception = std::current_exception()) std::rethrow_exception(exception);
  } catch (const std::exception& exception) {
    print_error(exception);
  }
  _exit(exit_status::own_error);
}

/// Runs the call. Only this function turns errors into memolock's own exit status.
ProcessEnd run(int argc, char** argv) {
  Options options;
  try {
    read_options(argc, argv, options);
    hide_passwords(argc, argv);
    if (!options.print) return run_verb(options, Log(options.log, print_line));
    print("the output", *options.print);
    return {};
  } catch (const std::exception& error) {
    if (options.log != Level::quiet) print_error(error);
    return {exit_status::own_error};
  }
}

}  // namespace
}  // namespace memolock

int main(int argc, char** argv) {
  // The threads here allocate almost nothing; an arena for each would cost more than the rest of
  // their work.
  mallopt(M_ARENA_MAX, 1);
  std::set_terminate(memolock::end_uncaught);
  memolock::block_write_signals();
  memolock::occupy_closed_streams();
  const memolock::ProcessEnd exit = memolock::run(argc, argv);
  memolock::await_background();
  if (exit.signal != 0) memolock::terminate_by_signal(exit.signal);
  // Not by `return`, which would run destructors and exit handlers: a thread may still be blocked
  // in a write to a stalled reader.
  _exit(exit.status);
}
