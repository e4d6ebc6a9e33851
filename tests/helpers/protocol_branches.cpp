// protocol_branches get|lock|once|bypass [OPTION…] [QUESTION=ANSWER,…]…: makes one call on a store
// in memory, with a command that is not run (memory_store.hpp). Prints what the call does, step by
// step, its messages, and how it ends.
//
// An option is one of `memolock get`, as --NAME or --NAME=VALUE. In addition, --look-up makes a
// call without a command, --word=WORD adds a word to the command, and --inside makes the call
// inside the run with the token "own".
#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <new>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "src/artifacts/archive.hpp"
#include "src/promise/exclusive_run.hpp"
#include "src/promise/get.hpp"
#include "src/promise/start_run.hpp"
#include "tests/helpers/memory_store.hpp"

using namespace memolock;
using namespace memolock::test;

// Not inlined: the compiler would take these for a mismatch of new and free().
[[gnu::noinline]] void* operator new(size_t size) {
  void* const memory = is_memory_gone ? nullptr : std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace {

struct Scenario {
  Request request;
  Script script;
  Level level = Level::info;
};

using Setter = std::function<void(Scenario&, const std::string&)>;

const std::map<std::string_view, Setter>& setters() {
  static const std::map<std::string_view, Setter> all{
      {"--ttl", [](Scenario& s, const auto& v) { s.request.ttl = duration(v); }},
      {"--wait", [](Scenario& s, const auto& v) { s.request.wait = duration(v); }},
      {"--stale", [](Scenario& s, const auto& v) { s.request.stale = duration(v); }},
      {"--stale-if-error",
       [](Scenario& s, const auto& v) { s.request.stale_if_error = duration(v); }},
      {"--cache-failures",
       [](Scenario& s, const auto& v) { s.request.cache_failures = duration(v); }},
      {"--max-runtime", [](Scenario& s, const auto& v) { s.request.max_runtime = duration(v); }},
      {"--early", [](Scenario& s, const auto& v) { s.request.early = std::stod(v); }},
      {"--jitter", [](Scenario& s, const auto& v) { s.request.jitter = std::stod(v); }},
      {"--artifact", [](Scenario& s, const auto& v) { s.request.artifacts = {v}; }},
      {"--max-entry", [](Scenario& s, const auto& v) { s.request.max_entry = std::stoull(v); }},
      {"--skip-status", [](Scenario& s, const auto& v) { s.request.skip_status = std::stoi(v); }},
      {"--refresh", [](Scenario& s, const auto&) { s.request.refresh = true; }},
      {"--external", [](Scenario& s, const auto&) { s.request.producer = Producer::external; }},
      {"--no-keep", [](Scenario& s, const auto&) { s.request.keep = false; }},
      {"--on-timeout",
       [](Scenario& s, const auto& v) {
         s.request.on_timeout = v == "run" ? OnTimeout::run : OnTimeout::stale;
       }},
      {"--retry", [](Scenario& s, const auto&) { s.request.on_failure = OnFailure::retry; }},
      {"--kill", [](Scenario& s, const auto&) { s.request.on_lost_lease = OnLostLease::kill; }},
      {"--look-up", [](Scenario& s, const auto&) { s.request.command.clear(); }},
      {"--word", [](Scenario& s, const auto& v) { s.request.command.push_back(v); }},
      {"--inside",
       [](Scenario& s, const auto&) {
         s.request.held = {{s.request.key, "own"}};
       }},
      {"--debug", [](Scenario& s, const auto&) { s.level = Level::debug; }},
      {"--quiet", [](Scenario& s, const auto&) { s.level = Level::quiet; }},
  };
  return all;
}

void add(Scenario& scenario, const std::string& argument) {
  if (!argument.starts_with("--")) return scenario.script.add(argument);
  const size_t equals = std::min(argument.find('='), argument.size());
  const auto setter = setters().find(std::string_view(argument).substr(0, equals));
  if (setter == setters().end()) abort_with("not an option: " + argument);
  setter->second(scenario, argument.substr(std::min(equals + 1, argument.size())));
}

std::string describe(const Outcome& outcome) {
  std::string text = fmt::format("{} {}", name_of(outcome.kind), outcome.status);
  if (outcome.signal != 0) text += fmt::format(", signal {}", outcome.signal);
  if (outcome.stored) text += ", stored";
  if (outcome.fell_back_to_stale) text += ", instead of a failure";
  if (!outcome.store_error.empty()) text += ", store error: " + outcome.store_error;
  return text;
}

/// An archive with one file, "made".
void make_archive(MemoryStore& store, Spool& spool) {
  const std::string text = "artifact\n";
  ArchiveWriter writer([&](std::string_view bytes) { return spool.append(Stream::files, bytes); });
  if (!writer.begin({MemberKind::file, "0", 0644, text.size(), ""}, "made") ||
      !writer.write(text) || !writer.finish())
    abort_with("cannot create the archive");
  store.set_archive({spool.file(Stream::files), 0, spool.size(Stream::files)});
}

Outcome call(const std::string& verb, const CallContext& context) {
  if (verb == "lock") return lock(context);
  if (verb == "once") return once(context);
  if (verb == "bypass")
    return run_uncached(context.request, context.signals, context.log, context.launcher);
  return get(context);
}

}  // namespace

int main(int count, char** arguments) {
  Scenario scenario;
  scenario.request.key = {"t", "x"};
  scenario.request.command = {"command"};
  scenario.request.ttl = scenario.request.lease = std::chrono::seconds(60);
  for (int at = 2; at < count; ++at) add(scenario, arguments[at]);

  Signals signals;
  MemoryStore store(scenario.script);
  ScriptedLauncher launcher(scenario.script);
  Spool archive;
  if (!scenario.request.artifacts.empty()) make_archive(store, archive);
  const Log log(scenario.level, [](std::string_view line) { print("> " + std::string(line)); });
  try {
    print(describe(call(arguments[1], {scenario.request, store, signals, log, launcher})));
  } catch (const Error& error) {
    print("error: " + std::string(error.what()));
  }
  return 0;
}
