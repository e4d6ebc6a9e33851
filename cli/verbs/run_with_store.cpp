#include "cli/verbs/run_with_store.hpp"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "cli/maintenance.hpp"
#include "cli/report.hpp"
#include "cli/store_choice.hpp"
#include "src/entry/held_lock.hpp"
#include "src/promise/start_run.hpp"
#include "src/system/error.hpp"
#include "src/system/exit_status.hpp"

namespace memolock {
namespace {

/// Removes the result of a promise, which `set` has stored in the fallback store.
void forget_promise(Store& store, const Key& key, const Log& log) noexcept {
  const auto failure = failure_of([&] { store.forget(key); });
  if (failure) (void)failure_of([&] { log.info("{}", *failure); });
}

/// The message of a failure that --on-store-error covers: the store is unreachable or unfit, or
/// memory is short. Rethrows any other exception. Call it in a catch clause only.
///
/// The command has not started yet: once it has started, no exception is thrown.
std::string fault_before_start(const std::exception& error) {
  const auto* const known = dynamic_cast<const Error*>(&error);
  const bool of_memory = dynamic_cast<const std::bad_alloc*>(&error) != nullptr;
  if (!of_memory && (known == nullptr || known->kind() != Error::Kind::store)) throw;
  return current_exception_text();
}

/// Handles a call whose store cannot be used for the reason `why`: the callers on this machine
/// share a run through the fallback store, and no entry is stored. If the fallback store fails too,
/// each caller runs the command itself.
Outcome call_without_store(const Options& options, Request request, ProtocolFunction function,
                           Signals& signals, const Log& log, const std::string& why) {
  const bool absent = request.command.empty();
  const auto warn = [&] {
    log.warn("{}; {} without the store", why, absent ? "continuing" : "running the command");
  };
  if (absent) {
    warn();
    return make_outcome(OutcomeKind::absent, exit_status::absent);
  }
  const StoreChoice fallback = fallback_choice(options);
  const bool external = request.producer == Producer::external;
  request.keep = false;
  request.store_url = "";  // the command inherits the caller's MEMOLOCK_STORE
  if (external) request.promise_url = fallback.url;
  request.ttl = Nanoseconds(0);
  std::unique_ptr<Store> store;
  std::string fault;
  try {
    store = open_fallback(fallback, log);
    warn();
    Outcome outcome = function(request, *store, signals, log);
    if (external) forget_promise(*store, request.key, log);
    return outcome;
  } catch (const std::exception& error) {
    fault = fault_before_start(error);
  }
  // It would not help to run the command: it only starts the work, and its output is not the
  // result.
  if (external)
    throw store_error(fmt::format("{}; cannot create the promise on this machine: {}", why, fault));
  if (!store) warn();
  log.info("{}: cannot take a local lock either: {}", request.key.shown(), fault);
  store.reset();
  return run_uncached(request, signals, log);
}

/// The deadline of requests before the start of the command: the limit of --wait, but at least the
/// timeout of one request.
Nanoseconds end_of_requests(const Options& options, const Request& request) {
  if (!request.wait) return forever;
  return after(request.asked_at, std::max(*request.wait, options.store_timeout));
}

/// `chosen` is set to the store that the options name, even if it cannot be opened; to nothing if
/// the command ran without it.
Outcome call_with_store(const Options& options, Request request, ProtocolFunction function,
                        Signals& signals, const Log& log, std::optional<StoreChoice>& chosen) {
  std::string fault;
  try {
    const WaitLimit wait_limit{signals.descriptor(), end_of_requests(options, request)};
    chosen = choose_store(options, wait_limit, log);
    request.store_url = chosen->url;
    request.max_entry = max_entry(options, *chosen);
    const auto store = open_store(*chosen, wait_limit, log);
    return function(request, *store, signals, log);
  } catch (const std::exception& error) {
    fault = fault_before_start(error);
    if (options.on_store_error == OnStoreError::fail) throw;
  }
  chosen.reset();
  Outcome outcome = call_without_store(options, std::move(request), function, signals, log, fault);
  outcome.store_error = std::move(fault);
  return outcome;
}

Outcome outcome_of(const Options& options, const Request& request, ProtocolFunction function,
                   const Log& log, std::optional<StoreChoice>& chosen) {
  Signals signals;
  if (!request.uncached)
    return until_interrupted(
        signals, [&] { return call_with_store(options, request, function, signals, log, chosen); });
  if (request.command.empty()) return make_outcome(OutcomeKind::absent, exit_status::absent);
  return run_uncached(request, signals, log);
}

}  // namespace

Request request_of(const Options& options, Key key) {
  Request request{options.policy, std::move(key), options.words};
  request.uncached = options.bypass;
  if (const char* held = getenv("MEMOLOCK_HELD")) request.held = parse_held(held);
  return request;
}

ProcessEnd run_with_store(const Options& options, const Request& request, ProtocolFunction function,
                          const Log& log) {
  const auto report = [&](const Outcome& outcome) {
    if (!options.report.empty()) append_report(options.report, request.key, outcome, log);
  };
  Outcome outcome;
  std::optional<StoreChoice> chosen;
  try {
    outcome = outcome_of(options, request, function, log, chosen);
  } catch (const Error& error) {
    outcome.kind = OutcomeKind::error;
    outcome.status = exit_status::own_error;
    const bool of_store = error.kind() == Error::Kind::store;
    if (of_store) outcome.store_error = error.what();
    (void)failure_of([&] { report(outcome); });
    if (of_store && chosen) maintain(options, *chosen, outcome);
    throw;
  }
  if (outcome.kind == OutcomeKind::background)
    return {};  // the foreground process has already reported
  // The command may have run. A failure from now on must not change the exit status.
  if (chosen) (void)failure_of([&] { maintain(options, *chosen, outcome); });
  if (outcome.output_error != 0) {
    (void)failure_of(
        [&] { log.warn("cannot write the output: {}", error_text(outcome.output_error)); });
    // If the command failed, its status is more informative. If it succeeded but its output was
    // lost, the call has failed.
    if (outcome.status == 0) outcome.status = exit_status::own_error;
  }
  if (const auto failure = failure_of([&] { report(outcome); }))
    (void)failure_of([&] { log.warn("cannot write the report: {}", *failure); });
  return {outcome.status, outcome.signal};
}

}  // namespace memolock
