#include "src/get.hpp"

#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

#include "cli/report.hpp"
#include "cli/store_choice.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/error.hpp"

namespace memolock {
namespace {

constexpr uint64_t default_max_entry = 1ULL << 30;

bool is_bypassed() {
  const char* value = getenv("MEMOLOCK_BYPASS");
  return value != nullptr && std::string_view(value) == "1";
}

std::string current_directory() {
  std::error_code error;
  const auto path = std::filesystem::current_path(error);
  if (error)
    throw usage_error("cannot tell the working directory, which is part of the id; give --id: " +
                      error.message());
  return path;
}

Request request_from(const Options& options) {
  Request request;
  request.key.tag = options.tag;
  request.command = options.command;
  if (request.command.empty() && options.ids.empty())
    throw usage_error("nothing to look up: give --id or a command");
  if (!request.command.empty() && !options.ttl && !is_bypassed())
    throw usage_error("--ttl is required to run a command");
  request.key.id = options.ids.empty() ? derive_id(options.command, current_directory())
                                       : options.ids.back();
  request.ttl = options.ttl;
  request.wait = options.wait;
  request.on_timeout = options.on_timeout;
  request.on_failure = options.on_failure;
  request.refresh = options.refresh;
  request.max_runtime = options.max_runtime;
  request.max_entry = options.max_entry.value_or(default_max_entry);
  if (const char* held = getenv("MEMOLOCK_HELD")) request.held = parse_held(held);
  return request;
}

/// With the store out of reach: the callers on this machine share a run by a local lock, and
/// nothing is stored; where even that is not to be had, everybody runs by himself.
Outcome get_without_store(Request request, Signals& signals, const Log& log) {
  if (request.command.empty()) {
    Outcome absent;
    absent.status = 1;
    return absent;
  }
  request.keep = false;
  request.store_url.clear();  // what the command finds is what the caller has set
  request.ttl = Nanoseconds(0);
  try {
    const auto fallback = open_fallback(log);
    return get(request, *fallback, signals, log);
  } catch (const Error& error) {
    if (error.kind() != Error::Kind::store) throw;
    log.info("{}: no local lock either: {}", request.key.shown(), error.what());
    return run_uncached(request, signals);
  }
}

Outcome get_from_store(const Options& options, Request request, Signals& signals, const Log& log) {
  try {
    const StoreChoice choice = choose_store(options.store);
    request.store_url = choice.url;
    const auto store = open_store(choice, log);
    return get(request, *store, signals, log);
  } catch (const Error& error) {
    if (error.kind() != Error::Kind::store || options.on_store_error == OnStoreError::fail) throw;
    log.warn("{}; {} without the store", error.what(),
             request.command.empty() ? "going on" : "running the command");
    Outcome outcome = get_without_store(std::move(request), signals, log);
    outcome.store_error = error.what();
    return outcome;
  }
}

Outcome carry_out(const Options& options, const Request& request, const Log& log) {
  Signals signals;
  if (!is_bypassed()) return get_from_store(options, request, signals, log);
  if (!request.command.empty()) return run_uncached(request, signals);
  Outcome absent;
  absent.status = 1;
  return absent;
}

}  // namespace

Exit run_get(const Options& options, const Log& log) {
  const Request request = request_from(options);
  const auto report = [&](const Outcome& outcome) {
    if (!options.report.empty()) append_report(options.report, request.key, outcome, log);
  };
  Outcome outcome;
  try {
    outcome = carry_out(options, request, log);
  } catch (const Error& error) {
    outcome.how = How::error;
    outcome.status = 125;
    if (error.kind() == Error::Kind::store) outcome.store_error = error.what();
    report(outcome);
    throw;
  }
  report(outcome);
  Exit exit{outcome.status, outcome.signal};
  if (outcome.output_error != 0) {
    log.warn("cannot write the output: {}", error_text(outcome.output_error));
    // The command's own failure says more; but a success whose output is lost is none.
    if (exit.status == 0) exit.status = 125;
  }
  return exit;
}

}  // namespace memolock
