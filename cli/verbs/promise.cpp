// The verbs set, fail and renew, with which other processes complete or extend a promise (`get
// --external`).
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "cli/store_choice.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/promise/run_messages.hpp"
#include "src/promise/start_run.hpp"
#include "src/system/descriptor.hpp"
#include "src/system/error.hpp"
#include "src/system/exit_status.hpp"
#include "src/system/signals.hpp"
#include "src/system/text.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

constexpr ProcessEnd lost{exit_status::absent};
constexpr uint64_t largest_message = 1U << 20;

std::string variable(const char* name) {
  const char* value = getenv(name);
  return value != nullptr ? value : "";
}

/// The run that a call applies to: the one that the options name, otherwise the one that this
/// process belongs to.
struct Target {
  Key key;
  std::string token;  ///< "": none
  StoreChoice store;
};

/// Throws Error(usage) if there is an error in the value of a variable. (Options were checked when
/// they were read.)
void refuse(const char* name, const std::string& value, const std::optional<std::string>& error) {
  if (error) throw usage_error(fmt::format("{}: '{}' {}", name, escape_controls(value), *error));
}

/// The chosen store, or the fallback store that contains the promise because the chosen one could
/// not be reached.
StoreChoice store_of(Options options, bool is_own, const WaitLimit& wait_limit, const Log& log) {
  const std::string fallback = variable("MEMOLOCK_RUN_STORE");
  if (is_own && !fallback.empty() && !options.store_on_command_line) {
    options.store = fallback;
    options.sources["store"] = "MEMOLOCK_RUN_STORE";
  }
  return choose_store(options, wait_limit, log);
}

Target target_of(const Options& options, const WaitLimit& wait_limit, const Log& log) {
  const Key own{variable("MEMOLOCK_RUN_TAG"), variable("MEMOLOCK_RUN_ID")};
  Key key{options.tag_on_command_line || own.tag.empty() ? options.tag : own.tag,
          options.ids.empty() ? own.id : options.ids.back()};
  if (key.id.empty())
    throw usage_error(variable("MEMOLOCK_CONTROL").empty()
                          ? "--id is required outside of a command that memolock runs"
                          : "--id is required: this run has no id");
  refuse("MEMOLOCK_RUN_TAG", key.tag, check_tag(key.tag));
  refuse("MEMOLOCK_RUN_ID", key.id, check_id(key.id));
  std::string token = options.token;
  if (token.empty() && key == own) token = variable("MEMOLOCK_RUN_TOKEN");
  StoreChoice store = store_of(options, key == own, wait_limit, log);
  return {std::move(key), std::move(token), std::move(store)};
}

/// How fill() ended.
struct Filled {
  bool whole = true;  ///< false: there are more than `most` bytes
  int error = 0;      ///< errno of the read that failed; 0: none failed
};

/// Appends up to `most` bytes from `from` to the spool, until end of file or an error. Throws
/// Error(store) and Error(interrupted).
Filled fill(Spool& spool, Stream stream, int from, int interrupt, uint64_t most = UINT64_MAX) {
  constexpr size_t step = 256U << 10;
  const auto buffer = std::make_unique_for_overwrite<char[]>(step);
  for (;;) {
    if (await_readable(from, interrupt, forever) == WaitEnd::interrupted) throw interrupted_error();
    const ssize_t got = read_some(from, buffer.get(), step);
    if (got < 0) return {true, errno};
    if (got == 0) return {};
    const uint64_t taken = std::min(static_cast<uint64_t>(got), most - spool.size(stream));
    if (!spool.append(stream, {buffer.get(), taken})) throw store_error(spool.why_refused());
    if (taken < static_cast<uint64_t>(got)) return {false};
  }
}

/// The record of a run whose output is in `spool`.
Record finished(const Promise& promise, const Spool& spool, Nanoseconds now) {
  Record record = promise.run_record();
  record.ended = now;
  record.run_time = std::max(record.ended - record.begun, Nanoseconds(0));
  record.out_size = spool.size(Stream::out);
  record.err_size = spool.size(Stream::err);
  record.out_hash = spool.hash(Stream::out);
  record.err_hash = spool.hash(Stream::err);
  return record;
}

/// The promise to complete; null if the token does not hold the lock. Throws Error(usage) if the
/// run is not a promise: its result is the output of its command.
std::unique_ptr<Promise> promise_of(Store& store, const Target& target) {
  auto promise = store.open_promise(target.key, target.token);
  if (promise && promise->run_record().producer == Producer::command)
    throw usage_error(target.key.shown() +
                      ": the result of this run is the output of its command; to set a result, "
                      "start the run with --external");
  return promise;
}

ProcessEnd report_lost(const Target& target, const Log& log) {
  log.warn("{}: {}", target.key.shown(),
           target.token.empty() ? "the lock is not held" : "the token does not hold the lock");
  return lost;
}

/// Does not throw: the call has succeeded, and a lack of memory must not turn it into an error.
void log_done(const Target& target, const std::string& what, const Log& log) noexcept {
  (void)failure_of([&] { log.info("{}: {}", target.key.shown(), what); });
}

/// False if stdin is a terminal, closed, or open for writing only.
bool stdin_has_message() {
  const int flags = fcntl(STDIN_FILENO, F_GETFL);
  return flags >= 0 && (flags & O_ACCMODE) != O_WRONLY && isatty(STDIN_FILENO) == 0;
}

/// Calls `work` with a descriptor that becomes readable when a signal arrives, so that `work` can
/// remove a partly stored result. Returns the result of `work`, or how to end because of the
/// signal.
template <typename Work>
ProcessEnd until_signal(const Work& work) {
  Signals signals;
  try {
    const ProcessEnd exit = work(signals.descriptor());
    if (exit.status == 0) return exit;  // the result is stored, even if a signal arrives now
    const auto received = signals.next();
    return received ? ProcessEnd{exit_status::of_signal(received->number), received->number} : exit;
  } catch (const Error& error) {
    if (error.kind() != Error::Kind::interrupted) throw;
    const Outcome outcome = outcome_of_signal(signals);
    return {outcome.status, outcome.signal};
  }
}

ProcessEnd set(const Options& options, int interrupt, const Log& log) {
  const WaitLimit wait_limit{interrupt};
  const Target target = target_of(options, wait_limit, log);
  const bool keep = *options.policy.ttl > Nanoseconds(0);
  if (!keep && target.token.empty())
    throw usage_error("--ttl 0 requires --token: only the waiters of a run could get the result");
  if (options.words.size() > 1) throw usage_error("at most one FILE can be stored");
  Descriptor file;
  const std::string name = options.words.empty() ? "-" : options.words.front();
  if (name != "-") {
    file.reset(open(name.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
    if (!file)
      throw usage_error(
          fmt::format("cannot read {}: {}", escape_controls(name), error_text(errno)));
  }
  const auto store = open_store(target.store, wait_limit, log);
  const auto promise = promise_of(*store, target);
  if (!promise) return report_lost(target, log);
  const auto spool = promise->spool();
  spool->limit(max_entry(options, target.store));
  const Filled filled = fill(*spool, Stream::out, file ? file.get() : STDIN_FILENO, interrupt);
  if (filled.error != 0)
    throw usage_error(fmt::format("cannot read {}: {}",
                                  name == "-" ? "stdin" : escape_controls(name),
                                  read_error_text(filled.error)));
  Record record = finished(*promise, *spool, store->now());
  record.ttl = *options.policy.ttl;
  record.retained = after(record.ttl,
                          std::max(options.policy.stale, options.policy.stale_if_error));
  record.disposition = keep ? Disposition::kept : Disposition::shared;
  if (!promise->complete(record)) return report_lost(target, log);
  log_done(target, keep ? describe_storage(record) : "passed to the waiters; not stored", log);
  return {};
}

ProcessEnd fail(const Options& options, int interrupt, const Log& log) {
  const WaitLimit wait_limit{interrupt};
  Target target = target_of(options, wait_limit, log);
  const auto store = open_store(target.store, wait_limit, log);
  if (target.token.empty()) {
    // Without a token, the call concerns the current holder.
    if (const auto run = store->watch_run(target.key)) target.token = run->run_record().token;
    if (target.token.empty()) return report_lost(target, log);
  }
  const auto promise = promise_of(*store, target);
  if (!promise) return report_lost(target, log);
  const auto spool = promise->spool();
  // Waiters must be notified of the failure even if the message cannot be read.
  if (stdin_has_message()) {
    const Filled filled = fill(*spool, Stream::err, STDIN_FILENO, interrupt, largest_message);
    if (!filled.whole)
      log.warn("{}: the message is longer than 1MiB; the rest is discarded", target.key.shown());
    if (filled.error != 0)
      log.warn("{}: cannot read the message from stdin: {}", target.key.shown(),
               read_error_text(filled.error));
  }
  Record record = finished(*promise, *spool, store->now());
  record.status = options.status;
  record.disposition = Disposition::shared;
  if (!promise->complete(record)) return report_lost(target, log);
  log_done(target, fmt::format("failed with status {}", record.status), log);
  return {};
}

}  // namespace

ProcessEnd run_set(const Options& options, const Log& log) {
  return until_signal([&](int interrupt) { return set(options, interrupt, log); });
}

ProcessEnd run_fail(const Options& options, const Log& log) {
  return until_signal([&](int interrupt) { return fail(options, interrupt, log); });
}

ProcessEnd run_renew(const Options& options, const Log& log) {
  const Target target = target_of(options, {}, log);
  if (target.token.empty()) throw usage_error("--token is required");
  const auto store = open_store(target.store, {}, log);
  const auto promise = store->open_promise(target.key, target.token);
  const auto life = options.lease_on_command_line ? std::optional(options.policy.lease)
                                                  : std::nullopt;
  return promise && promise->renew(life) ? ProcessEnd{} : report_lost(target, log);
}

}  // namespace memolock
