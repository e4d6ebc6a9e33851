// set, fail and renew: how an outside program keeps a promise.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "cli/store_choice.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/descriptor.hpp"
#include "src/error.hpp"

namespace memolock {
namespace {

constexpr Exit lost{1};

std::string variable(const char* name) {
  const char* value = getenv(name);
  return value != nullptr ? value : "";
}

/// The run that is meant: what the options say, else the one that this process belongs to.
struct Target {
  Key key;
  std::string token;  ///< empty: none
};

Target target_of(const Options& options) {
  const Key own{variable("MEMOLOCK_RUN_TAG"), variable("MEMOLOCK_RUN_ID")};
  Target target{{options.tag_on_command_line || own.tag.empty() ? options.tag : own.tag,
                 options.ids.empty() ? own.id : options.ids.back()},
                options.token};
  if (target.key.id.empty()) throw usage_error("give --id, or run this inside a memolock command");
  if (target.token.empty() && target.key == own) target.token = variable("MEMOLOCK_RUN_TOKEN");
  return target;
}

/// Takes all that `from` has. Throws Error(store).
void fill(Spool& spool, Stream stream, int from, const std::string& name) {
  constexpr size_t step = 256U << 10;
  const auto buffer = std::make_unique_for_overwrite<char[]>(step);
  for (;;) {
    const ssize_t got = read_some(from, buffer.get(), step);
    if (got < 0) throw system_error("cannot read " + name, errno);
    if (got == 0) return;
    if (!spool.append(stream, {buffer.get(), static_cast<size_t>(got)}))
      throw store_error(spool.fault());
  }
}

/// The record of a run whose outcome is in its spool.
Record finished(const Promise& promise, const Spool& spool, Nanoseconds now) {
  Record record = promise.run();
  record.ended = now;
  record.run_time = std::max(record.ended - record.begun, Nanoseconds(0));
  record.out_size = spool.size(Stream::out);
  record.err_size = spool.size(Stream::err);
  record.out_hash = spool.hash(Stream::out);
  record.err_hash = spool.hash(Stream::err);
  return record;
}

/// The run whose outcome is to be set; null: its token does not hold the lock. Throws Error(usage)
/// when the outcome is what the run's own command prints.
std::unique_ptr<Promise> promise_of(Store& store, const Target& target) {
  auto promise = store.promise(target.key, target.token);
  if (promise && promise->run().keeper == Keeper::holder)
    throw usage_error(target.key.shown() +
                      ": the result is what the command prints; begin the run with --external");
  return promise;
}

Exit say_lost(const Target& target, const Log& log) {
  log.warn("{}: {} the lock", target.key.shown(),
           target.token.empty() ? "nobody holds" : "the token does not hold");
  return lost;
}

}  // namespace

Exit run_set(const Options& options, const Log& log) {
  const Target target = target_of(options);
  if (!options.ttl) throw usage_error("--ttl is required");
  const bool keep = *options.ttl > Nanoseconds(0);
  if (!keep && target.token.empty())
    throw usage_error("--ttl 0 needs a --token: nobody would see it");
  if (options.command.size() > 1) throw usage_error("give one FILE, or none for stdin");
  Descriptor file;
  const std::string name = options.command.empty() ? "-" : options.command.front();
  if (name != "-") {
    file.reset(open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!file)
      throw usage_error(
          fmt::format("cannot read {}: {}", escape_controls(name), error_text(errno)));
  }
  const StoreChoice choice = choose_store(options);
  const auto store = open_store(choice, -1, log);
  const auto promise = promise_of(*store, target);
  if (!promise) return say_lost(target, log);
  const auto spool = promise->spool();
  spool->limit(max_entry(options, choice));
  fill(*spool, Stream::out, file ? file.get() : STDIN_FILENO,
       name == "-" ? "stdin" : escape_controls(name));
  Record record = finished(*promise, *spool, store->now());
  record.ttl = *options.ttl;
  record.retained = after(record.ttl, std::max(options.stale, options.stale_if_error));
  record.fate = keep ? Fate::kept : Fate::shared;
  return promise->complete(record) ? Exit{} : say_lost(target, log);
}

Exit run_fail(const Options& options, const Log& log) {
  Target target = target_of(options);
  const auto store = open_store(choose_store(options), -1, log);
  if (target.token.empty()) {
    // Whoever holds the lock now is meant.
    if (const auto run = store->watch(target.key)) target.token = run->run().token;
    if (target.token.empty()) return say_lost(target, log);
  }
  const auto promise = promise_of(*store, target);
  if (!promise) return say_lost(target, log);
  const auto spool = promise->spool();
  if (isatty(STDIN_FILENO) == 0) fill(*spool, Stream::err, STDIN_FILENO, "stdin");
  Record record = finished(*promise, *spool, store->now());
  record.status = options.status;
  record.fate = Fate::shared;
  return promise->complete(record) ? Exit{} : say_lost(target, log);
}

Exit run_renew(const Options& options, const Log& log) {
  const Target target = target_of(options);
  if (target.token.empty()) throw usage_error("give the run's --token");
  const auto store = open_store(choose_store(options), -1, log);
  const auto promise = store->promise(target.key, target.token);
  return promise && promise->renew(options.lease) ? Exit{} : say_lost(target, log);
}

}  // namespace memolock
