// A store in memory, and a process launcher that starts no processes. Their answers come from a
// script; each call is printed to stdout, on one line.
//
// A script has a list of answers for each question. The answers are used in turn, the last one
// repeatedly. An unknown word in a script, or a call that never ends, aborts the program.
#pragma once

#include <signal.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "src/promise/process_launcher.hpp"
#include "src/store/store.hpp"
#include "src/system/error.hpp"
#include "src/system/units.hpp"

namespace memolock::test {

inline void print(std::string_view line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

[[noreturn]] inline void abort_with(std::string_view why) {
  print(why);
  std::exit(99);
}

/// From now on nothing can be allocated (protocol_branches.cpp).
inline bool is_memory_gone = false;

inline std::vector<std::string> split(std::string_view text, char by) {
  std::vector<std::string> parts;
  for (size_t end = 0; end != text.npos; text.remove_prefix(end + 1)) {
    end = text.find(by);
    parts.emplace_back(text.substr(0, end));
    if (end == text.npos) break;
  }
  return parts;
}

inline Nanoseconds duration(const std::string& text) {
  if (text == "forever") return forever;
  const auto length = parse_duration(text);
  if (!length) abort_with("not a duration: " + text);
  return *length;
}

/// The answers of a script, by question.
class Script {
 public:
  /// "QUESTION=ANSWER,ANSWER…"
  void add(std::string_view line) {
    const size_t equals = line.find('=');
    answers_[std::string(line.substr(0, equals))] = split(line.substr(equals + 1), ',');
  }

  /// The next answer, or `usual` if the script has none.
  std::string next(const std::string& question, const std::string& usual) {
    size_t& asked = asked_[question];
    if (++asked > 40) abort_with("endless: " + question);
    const auto found = answers_.find(question);
    if (found == answers_.end()) return usual;
    return found->second.at(std::min(asked, found->second.size()) - 1);
  }

  [[nodiscard]] bool has(const std::string& question) const { return answers_.contains(question); }

 private:
  std::map<std::string, std::vector<std::string>> answers_;
  std::map<std::string, size_t> asked_;
};

/// The current time of the store.
inline constexpr Nanoseconds store_time = std::chrono::seconds(1000);

/// A record of a run that took 2 s and ended 10 s before the store's current time. `words`:
/// "fresh", or what is different, joined with "+": "expired+foreign".
inline Record parse_record(const std::string& words) {
  using std::chrono::seconds;
  Record record;
  record.disposition = Disposition::kept;
  record.ended = store_time - seconds(10);
  record.run_time = seconds(2);
  record.ttl = record.retained = seconds(60);
  record.token = "token-of-" + words;
  record.holder = {"host", 7};
  record.out_size = record.err_size = 3;
  for (const std::string& word : split(words, '+')) {
    const std::string value = word.substr(std::min(word.find(':') + 1, word.size()));
    if (word == "fresh" || word == "damaged" || word == "no-archive" || word == "bad-archive") {
    } else if (word == "stale") {
      record.ttl = seconds(5);
    } else if (word == "expired") {
      record.ttl = record.retained = seconds(5);
    } else if (word == "later") {
      record.ended = store_time + seconds(4);
    } else if (word == "failed") {
      record.disposition = Disposition::failed;
      record.status = 3;
    } else if (word == "killed") {
      record.exit_kind = ExitKind::signaled;
      record.status = 137;
      record.transient_failures = 1;
    } else if (word == "twice") {
      record.transient_failures = 2;
    } else if (word == "unstored") {
      record.disposition = Disposition::unstored;
    } else if (word == "foreign") {
      record.foreign = true;
    } else if (word == "large") {
      record.out_size = UINT64_MAX;
      record.err_size = 1;
    } else if (word == "made") {
      record.artifacts = {"made"};
      record.files_size = 1;
    } else if (word == "external") {
      record.producer = Producer::external;
    } else if (word == "own") {
      record.token = "own";
    } else {
      abort_with("not a word for a record: " + word);
    }
  }
  record.begun = record.ended - record.run_time;
  return record;
}

class MemoryEntry final : public Entry {
 public:
  MemoryEntry(std::string words, std::optional<FileRange> archive)
      : words_(std::move(words)), record_(parse_record(words_)), archive_(archive) {}

  [[nodiscard]] const Record& record() const override { return record_; }
  bool is_intact() override { return !has("damaged"); }
  std::optional<FileRange> files() override {
    if (has("no-archive")) return std::nullopt;
    return has("bad-archive") ? std::optional(FileRange{archive_->file, 1, 20}) : archive_;
  }
  int write(Stream stream, int /*to*/) noexcept override {
    // Two threads may write the two streams, so the order of these two calls is not defined; one
    // line is printed after both.
    (stream == Stream::out ? out_written_ : err_written_) = true;
    if (++written_ == 2 && out_written_ && err_written_) print("replay " + words_);
    return 0;
  }

 private:
  [[nodiscard]] bool has(std::string_view word) const { return words_.find(word) != words_.npos; }

  std::string words_;
  Record record_;
  std::optional<FileRange> archive_;
  std::atomic<bool> out_written_ = false;
  std::atomic<bool> err_written_ = false;
  std::atomic<int> written_ = 0;
};

/// The state that the parts of the store share.
struct Memory {
  Script& script;
  std::optional<FileRange> archive = std::nullopt;

  /// Prints and returns the script's answer. "error" throws Error(store), "interrupt" throws
  /// Error(interrupted) after a signal.
  std::string answer(const std::string& question, const std::string& usual) {
    std::string words = script.next(question, usual);
    print(question + ": " + words);
    if (words == "error") throw store_error(question + " failed");
    if (words == "interrupt") {
      raise(SIGTERM);
      throw interrupted_error();
    }
    return words;
  }
  std::unique_ptr<Entry> entry(const std::string& words) const {
    return words == "none" ? nullptr : std::make_unique<MemoryEntry>(words, archive);
  }
  /// The answer is "gone", "timed-out", "interrupted", "slow" (gone after the deadline has passed),
  /// or the record of the run's outcome.
  WaitResult wait(const std::string& question, Nanoseconds deadline) {
    const std::string words = answer(question, "gone");
    if (words == "interrupted") raise(SIGTERM);
    if (words == "slow") {
      (void)await_readable(-1, -1, deadline);
      return {WakeReason::gone, nullptr};
    }
    if (words == "gone") return {WakeReason::gone, nullptr};
    if (words == "timed-out") return {WakeReason::timed_out, nullptr};
    if (words == "interrupted") return {WakeReason::interrupted, nullptr};
    return {WakeReason::answered, entry(words)};
  }
};

inline std::string_view name_of(Disposition disposition) {
  switch (disposition) {
    case Disposition::running:
      return "running";
    case Disposition::kept:
      return "kept";
    case Disposition::shared:
      return "shared";
    case Disposition::unstored:
      return "unstored";
    case Disposition::failed:
      return "failed";
    case Disposition::marked:
      return "marked";
  }
  return "";
}

class MemoryLock final : public Lock {
 public:
  explicit MemoryLock(Memory& memory) : memory_(memory) {}
  ~MemoryLock() override { MemoryLock::abandon(); }

  [[nodiscard]] const std::string& token() const override { return token_; }
  [[nodiscard]] bool may_have_changed() const override {
    return memory_.script.next("changed-since-look-up", "no") == "yes";
  }
  void begin(const Record& /*record*/) override { (void)memory_.answer("begin", "ok"); }
  [[nodiscard]] int lease_lost_descriptor() const override { return 77; }
  std::shared_ptr<Spool> spool() override { return spool_; }
  PublishResult publish(const Record& record) override {
    std::string what = fmt::format("publish {}, status {}", name_of(record.disposition),
                                   record.status);
    if (record.disposition == Disposition::kept || record.disposition == Disposition::marked)
      what += record.disposition == Disposition::kept && record.ttl < std::chrono::minutes(1) &&
                      record.ttl > std::chrono::seconds(5)
                  ? ", a shorter ttl"
                  : fmt::format(", ttl {}", format_duration(record.ttl));
    if (record.retained != record.ttl)
      what += fmt::format(", retained {}", format_duration(record.retained));
    if (record.files_size > 0) what += ", artifacts";
    if (record.transient_failures > 0)
      what += fmt::format(", transient failures {}", record.transient_failures);
    const std::string words = memory_.answer(what, memory_.script.next("publish", "done"));
    if (words == "fails") throw store_error("publish failed");
    held_ = false;
    if (words == "interrupted") raise(SIGTERM);
    if (words == "interrupted") return PublishResult::interrupted;
    if (words == "forgotten") return PublishResult::forgotten;
    return words == "lost" ? PublishResult::lost : PublishResult::done;
  }
  WaitResult await_promise(Nanoseconds life, int /*interrupt*/,
                           WaitObserver& /*observer*/) override {
    print("await promise for " + format_duration(life));
    return memory_.wait("promise", forever);
  }
  void abandon() noexcept override {
    if (std::exchange(held_, false)) print("abandon");
  }
  void abandon_quickly() noexcept override {
    if (std::exchange(held_, false)) print("give up");
  }

 private:
  void start_renewal() override { print("renew"); }

  Memory& memory_;
  std::string token_ = "own";
  std::shared_ptr<Spool> spool_ = std::make_shared<Spool>();
  bool held_ = true;
};

class MemoryWatch final : public Watch {
 public:
  MemoryWatch(Memory& memory, const std::string& words)
      : memory_(memory), run_(parse_record(words)) {
    run_.disposition = Disposition::running;
  }
  [[nodiscard]] const Record& run_record() const override { return run_; }
  [[nodiscard]] bool forgotten() const override {
    return memory_.script.next("forgotten", "no") == "yes";
  }
  [[nodiscard]] bool may_have_changed() const override {
    return memory_.script.next("changed-since-look-up", "no") == "yes";
  }
  WaitResult wait(Nanoseconds deadline, int /*interrupt*/, WaitObserver& /*observer*/) override {
    return memory_.wait("wait", deadline);
  }

 private:
  Memory& memory_;
  Record run_;
};

class MemoryStore final : public Store {
 public:
  explicit MemoryStore(Script& script) : memory_{script} {}
  void set_archive(FileRange archive) { memory_.archive = archive; }

  Nanoseconds now() override { return store_time; }
  void include_artifacts() override { print("include artifacts"); }
  void end_wait_limit() override { print("end wait limit"); }
  std::unique_ptr<Entry> look_up(const Key&) override {
    return memory_.entry(memory_.answer("look up", "none"));
  }
  std::unique_ptr<Entry> look_up_failure(const Key&) override {
    const std::string words = memory_.script.next("failure", "none");
    if (words != "none") print("failure: " + words);
    return memory_.entry(words);
  }
  std::optional<Record> look_up_mark(const Key&) override {
    const std::string words = memory_.answer("mark", "none");
    if (words == "none") return std::nullopt;
    return parse_record(words);
  }
  std::unique_ptr<Lock> try_acquire(const Key&, Producer producer) override {
    const bool external = producer == Producer::external;
    const std::string words = memory_.answer(external ? "acquire for others" : "acquire",
                                             memory_.script.next("lock", "free"));
    if (words == "fails") throw store_error("acquire failed");
    return words == "held" ? nullptr : std::make_unique<MemoryLock>(memory_);
  }
  std::unique_ptr<Watch> watch_run(const Key&) override {
    const std::string words = memory_.answer("watch", "none");
    if (words == "signal") raise(SIGTERM);
    return words == "none" || words == "signal" ? nullptr
                                                : std::make_unique<MemoryWatch>(memory_, words);
  }
  bool is_locked(const Key&) override { return memory_.answer("is locked", "no") == "yes"; }

  std::unique_ptr<Promise> open_promise(const Key&, const std::string&) override { unused(); }
  bool exists(const Key&) override { unused(); }
  bool forget(const Key&) override { unused(); }
  size_t forget_all(const std::string&, Ownership) override { unused(); }
  bool break_lock(const Key&) override { unused(); }
  void on_progress(Progress) override { unused(); }
  void list(const std::optional<std::string>&,
            const std::function<void(const ListedEntry&)>&) override {
    unused();
  }

 private:
  [[noreturn]] static void unused() { abort_with("not a call of this protocol"); }

  Memory memory_;
};

/// A command that is not run. The script says how it ends: "0", "3", "killed", "not-started",
/// "timed-out", "interrupted", "stopped" or "unknown", and in addition, joined with "+": "long",
/// "refused", "left-running" or "signal" (which arrives after the end).
class ScriptedRun final : public CommandRun {
 public:
  ScriptedRun(Script& script, CommandSpec spec, Signals& signals)
      : script_(script), spec_(std::move(spec)), signals_(signals) {}

  void start_plain() override { start("plain", nullptr); }
  void start_spooled(const std::shared_ptr<Spool>& spool) override { start("spooled", spool); }
  RunResult finish(FunctionRef<void> refused) noexcept override;
  void release_stdout() noexcept override { print("release stdout"); }
  Command::Drained drain(Nanoseconds patience) noexcept override {
    print("drain for " + format_duration(patience));
    if (script_.next("drain", "all") == "interrupted") raise(SIGTERM);
    const auto signal = signals_.next();
    return {signal ? signal->number : 0, 0};
  }
  LateOutput late_output() noexcept override;

 private:
  void start(std::string how, const std::shared_ptr<Spool>& spool);
  void write_control();

  Script& script_;
  CommandSpec spec_;
  Signals& signals_;
  std::shared_ptr<Spool> spool_;
};

inline void ScriptedRun::start(std::string how, const std::shared_ptr<Spool>& spool) {
  if (spec_.defer_stdout) how += ", stdout deferred";
  if (spec_.out == 2) how += ", stdout to stderr";
  if (spec_.stop_descriptor >= 0) how += ", stopped with the lease";
  const std::string answer = script_.next("start", "ok");
  if (answer == "error") throw store_error("the command cannot be started");
  print("start " + how);
  spool_ = spool;
  if (spool_) (void)spool_->append(Stream::out, "new");
  is_memory_gone = answer == "no-memory";
}

/// Writes the script's control lines to the file of MEMOLOCK_CONTROL.
inline void ScriptedRun::write_control() {
  if (!script_.has("control")) return;
  for (const std::string& variable : spec_.environment) {
    if (!variable.starts_with("MEMOLOCK_CONTROL=")) continue;
    std::FILE* const file = std::fopen(variable.substr(variable.find('=') + 1).c_str(), "a");
    std::fputs((script_.next("control", "") + "\n").c_str(), file);
    std::fclose(file);
  }
}

inline RunResult ScriptedRun::finish(FunctionRef<void> refused) noexcept {
  is_memory_gone = false;
  RunResult result;
  result.ended = store_time + std::chrono::seconds(1);
  result.begun = store_time;
  result.run_time = std::chrono::seconds(1);
  for (const std::string& word : split(script_.next("command", "0"), '+')) {
    if (word == "killed" || word == "interrupted") {
      result.exit_kind = ExitKind::signaled;
      result.status = word == "killed" ? 128 + SIGKILL : 128 + SIGTERM;
      if (word == "interrupted") result.interrupt_signal = SIGTERM;
    } else if (word == "caught") {
      result.interrupt_signal = SIGTERM;
    } else if (word == "odd-signal") {
      result.exit_kind = ExitKind::signaled;
      result.status = 128 + 100;
    } else if (word == "not-started") {
      result.exit_kind = ExitKind::not_started;
      result.status = 127;
    } else if (word == "timed-out") {
      result.exit_kind = ExitKind::timed_out;
      result.status = 124;
      result.drain_briefly = true;
    } else if (word == "stopped") {
      result.exit_kind = ExitKind::signaled;
      result.status = 128 + SIGTERM;
      result.stopped_on_request = result.drain_briefly = true;
    } else if (word == "unknown") {
      result.status = 125;
      result.unknown = true;
    } else if (word == "left-running") {
      result.left_running = "12 (sudo)";
    } else if (word == "long") {
      spec_.on_long_run();
    } else if (word == "refused") {
      spool_->refuse_unreadable(EIO);
      if (refused) refused();
    } else if (word == "signal") {
      raise(SIGTERM);
    } else {
      result.status = std::atoi(word.c_str());
    }
  }
  write_control();
  return result;
}

inline LateOutput ScriptedRun::late_output() noexcept {
  LateOutput late;
  if (!script_.has("late")) return late;
  Pipe pipe = make_pipe();
  print("late output");
  late.add(std::move(pipe.read_end), LateOutput::nowhere);
  return late;
}

class ScriptedLauncher final : public ProcessLauncher {
 public:
  explicit ScriptedLauncher(Script& script) : script_(script) {}
  std::unique_ptr<CommandRun> prepare(CommandSpec spec, Signals& signals) override {
    return std::make_unique<ScriptedRun>(script_, std::move(spec), signals);
  }
  ProcessRole daemonize() override {
    const std::string role = script_.next("role", "caller");
    print("daemonize: " + role);
    return role == "background" ? ProcessRole::background : ProcessRole::caller;
  }

 private:
  Script& script_;
};

}  // namespace memolock::test
