#include "src/get.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <utility>

#include "src/command.hpp"
#include "src/error.hpp"
#include "src/run_environment.hpp"
#include "src/units.hpp"

namespace memolock {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// How long the readers of a command that was stopped have to take the rest of its output.
constexpr std::chrono::seconds last_words{2};

/// The pauses of one who finds the lock taken but no run to wait for: the holder is about to begin
/// or to end.
class Backoff {
 public:
  /// Sleeps, each time longer. False: `interrupt` became readable.
  bool pause(int interrupt) {
    const Ready ready = await_readable(-1, interrupt, boot_now() + next_);
    ++tries_;
    next_ = std::min<Nanoseconds>(2 * next_, tries_ < 100 ? milliseconds(5) : milliseconds(100));
    return ready != Ready::interrupted;
  }
  void reset() { *this = {}; }
  [[nodiscard]] int tries() const { return tries_; }

 private:
  Nanoseconds next_ = microseconds(200);
  int tries_ = 0;
};

Outcome ended(How how, int status, int signal = 0) {
  Outcome outcome;
  outcome.how = how;
  outcome.status = status;
  outcome.signal = signal;
  return outcome;
}

/// What becomes of a call whose own command was interrupted: it ends by the same signal if the
/// command did.
void note_interruption(Outcome& outcome, const Ending& ending) {
  if (ending.interrupted == 0) return;
  outcome.how = How::interrupted;
  if (ending.end == End::signaled && ending.status == 128 + ending.interrupted)
    outcome.signal = ending.interrupted;
}

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

class Call {
 public:
  Call(const Request& request, Store& store, Signals& signals, const Log& log)
      : request_(request),
        store_(store),
        signals_(signals),
        log_(log),
        deadline_(request.wait ? after(boot_now(), *request.wait) : forever) {
    wish_.ttl = request.ttl;
    if (request.refresh) wish_.begun_since = wall_now();
  }

  Outcome carry_out() {
    for (;;) {
      if (const auto entry = fresh_entry()) return replay(*entry, how_found());
      if (!look_up_only()) {
        if (auto lock = store_.try_acquire(request_.key)) {
          const auto entry = fresh_entry();
          if (!entry) return run_as_holder(*lock);
          // Not under the lock: its reader may take his time.
          lock.reset();
          return replay(*entry, how_found());
        }
      }
      if (auto outcome = wait_for_holder()) return *outcome;
    }
  }

 private:
  [[nodiscard]] bool look_up_only() const { return request_.command.empty(); }
  [[nodiscard]] std::string name() const { return request_.key.shown(); }

  [[nodiscard]] How how_found() const { return waited_ ? How::waited : How::hit; }

  /// The entry, if it is fresh and whole.
  std::unique_ptr<Entry> fresh_entry() {
    auto entry = store_.look_up(request_.key);
    if (!entry) return nullptr;
    const Nanoseconds now = wall_now();
    const auto age = age_of(entry->record(), now);
    if (!is_fresh(entry->record(), wish_, now)) {
      log_.info("{}: the entry is {}", name(),
                age ? fmt::format("{} old and not fresh enough", format_duration(*age))
                    : "from the future: absent");
      return nullptr;
    }
    if (!entry->intact()) {
      log_.info("{}: the stored entry is damaged; it counts as absent", name());
      return nullptr;
    }
    log_.info("{}: {}, {} old, took {}", name(), waited_ ? "waited" : "hit", format_duration(*age),
              format_duration(entry->record().run_time));
    return entry;
  }

  /// Gives the caller what a run has left; the last thing that is done. Nothing is held any more,
  /// so a signal may end this process, however long the reader takes.
  Outcome replay(Entry& entry, How how) {
    const Record& record = entry.record();
    Outcome outcome;
    outcome.how = how;
    outcome.status = record.status;
    outcome.age = age_of(record, wall_now());
    outcome.run_time = record.run_time;
    signals_.let_through();
    outcome.output_error = entry.replay(STDOUT_FILENO, STDERR_FILENO);
    return outcome;
  }

  /// Nothing: begin anew.
  std::optional<Outcome> wait_for_holder() {
    const auto watch = store_.watch(request_.key);
    if (look_up_only() && (!request_.wait || (!watch && !is_about_to_begin()))) {
      log_.info("{}: absent", name());
      return ended(How::absent, 1);
    }
    if (watch) refuse_deadlock(watch->run());
    if (boot_now() >= deadline_) return time_out();
    if (!watch) {
      log_.debug("{}: the lock is held, but there is no run to wait for; trying again", name());
      if (!backoff_.pause(signals_.descriptor())) return interrupted();
      return std::nullopt;
    }
    backoff_.reset();
    const bool forgotten = watch->forgotten();
    waited_ = true;
    if (const auto entry = fresh_entry()) return replay(*entry, How::waited);
    log_.info("{}: waiting for {}:{}, at work for {}", name(), watch->run().holder.host,
              watch->run().holder.pid,
              format_duration(std::max(wall_now() - watch->run().begun, Nanoseconds(0))));
    const Woken woken = watch->wait(deadline_, signals_.descriptor());
    switch (woken.wake) {
      case Wake::timed_out:
        return time_out();
      case Wake::interrupted:
        return interrupted();
      case Wake::gone:
        log_.info("{}: the holder is gone", name());
        return std::nullopt;
      case Wake::answered:
        break;
    }
    return forgotten ? std::nullopt : take_answer(*woken.answer);
  }

  /// For a look-up that waits: whether a holder is at work whose run is not there to watch yet, or
  /// one may be about to take over from a dead one.
  bool is_about_to_begin() {
    constexpr int take_over = 16;
    return store_.is_locked(request_.key) || (waited_ && backoff_.tries() < take_over);
  }

  std::optional<Outcome> take_answer(Entry& answer) {
    const Record& record = answer.record();
    if (record.fate == Fate::unstored) {
      log_.info("{}: the result could not be shared; running uncached", name());
      if (look_up_only()) return ended(How::absent, 1);
      return run_uncached(request_, signals_);
    }
    if (!answers_waiter(record, wish_)) return std::nullopt;
    if (!record.succeeded()) {
      if (record.is_trouble() && record.troubles < 2 && !look_up_only()) {
        troubles_ = record.troubles;
        return std::nullopt;
      }
      if (request_.on_failure == OnFailure::retry) return std::nullopt;
    }
    if (!answer.intact()) return std::nullopt;
    log_.info("{}: waited; the run took {}, status {}", name(), format_duration(record.run_time),
              record.status);
    return replay(answer, How::waited);
  }

  void refuse_deadlock(const Record& run) const {
    const bool own = std::any_of(
        request_.held.begin(), request_.held.end(),
        [&](const HeldLock& held) { return held.key == request_.key && held.token == run.token; });
    if (own)
      throw usage_error("deadlock: this command runs inside the run of " + name() +
                        " that it would wait for");
  }

  Outcome time_out() {
    log_.info("{}: --wait has passed", name());
    if (request_.on_timeout == OnTimeout::run && !look_up_only())
      return run_uncached(request_, signals_);
    if (request_.on_timeout == OnTimeout::stale) {
      const auto entry = store_.look_up(request_.key);
      if (entry && entry->intact()) return replay(*entry, How::stale);
    }
    log_.warn("{}: timed out after {} of waiting for the holder", name(),
              format_duration(*request_.wait));
    return ended(How::timeout, 124);
  }

  Outcome interrupted() {
    const auto received = signals_.take();
    const int signal = received ? received->number : 0;
    return ended(How::interrupted, 128 + signal, signal);
  }

  Outcome run_as_holder(Lock& lock) {
    Record record;
    record.key = request_.key;
    record.token = lock.token();
    record.holder = {host_name(), getpid()};
    record.command = request_.command;
    record.begun = wall_now();
    record.troubles = troubles_;
    lock.begin(record);
    log_.info("{}: running the command", name());

    const auto spool = lock.spool();
    spool->limit(request_.max_entry);
    Command command(
        {request_.command,
         environment_for({request_.key, lock.token(), request_.store_url,
                          request_.keep ? lock.control_path() : "/dev/null", request_.held}),
         request_.max_runtime},
        signals_);
    Outcome outcome;
    outcome.how = How::miss;
    const Ending ending = command.run_spooled(spool, [&] {
      record.fate = Fate::unstored;
      publish(lock, record, outcome);
      outcome.store_error = spool->fault();
      say_later(Level::warn, "not stored: " + spool->fault());
    });
    outcome.status = ending.status;
    outcome.run_time = ending.run_time;
    const Control control = parse_control(lock.take_control());
    if (ending.interrupted != 0) {
      lock.abandon();
      say_later(Level::info, "interrupted; nothing is stored");
    } else if (record.fate != Fate::unstored) {
      complete(record, ending, *spool, control);
      publish(lock, record, outcome);
    }
    return hand_over(command, ending, std::move(outcome));
  }

  /// Fills in what is known after the run, and decides on its fate.
  void complete(Record& record, const Ending& ending, const Spool& spool, const Control& control) {
    record.end = ending.end;
    record.status = ending.status;
    record.begun = ending.begun;
    record.ended = ending.ended;
    record.run_time = ending.run_time;
    record.out_size = spool.size(Stream::out);
    record.err_size = spool.size(Stream::err);
    record.out_hash = spool.hash(Stream::out);
    record.err_hash = spool.hash(Stream::err);
    record.troubles = record.is_trouble() ? record.troubles + 1 : 0;
    record.ttl = control.ttl.value_or(*request_.ttl);
    record.ttl_by_command = control.ttl.has_value();
    record.stale = control.stale.value_or(Nanoseconds(0));
    if (!control.malformed.empty())
      say_later(Level::warn,
                "not stored: the command wrote a line to MEMOLOCK_CONTROL that means nothing: " +
                    escape_controls(control.malformed));
    const bool keep = request_.keep && record.succeeded() && record.ttl > Nanoseconds(0) &&
                      control.cache && control.malformed.empty();
    record.fate = keep ? Fate::kept : Fate::shared;
  }

  /// A store that fails now costs the entry, never the output.
  void publish(Lock& lock, const Record& record, Outcome& outcome) {
    try {
      if (!lock.publish(record)) {
        say_later(Level::info, "not stored: it was deleted during the run");
      } else if (record.fate == Fate::kept) {
        say_later(Level::info, fmt::format("stored for {}, took {}", format_duration(record.ttl),
                                           format_duration(record.run_time)));
      }
    } catch (const Error& error) {
      outcome.store_error = error.what();
      say_later(Level::warn, std::string("not stored: ") + error.what());
    }
  }

  /// Waits until the caller has got all of the output; the lock is released by now.
  Outcome hand_over(Command& command, const Ending& ending, Outcome outcome) {
    const Command::Drained drained = command.drain(ending.cut_short ? last_words : forever);
    outcome.output_error = drained.error;
    note_interruption(outcome, ending);
    if (ending.interrupted == 0 && drained.interrupted != 0) {
      outcome.signal = drained.interrupted;
      outcome.status = 128 + drained.interrupted;
      return outcome;
    }
    signals_.let_through();
    for (const auto& [level, text] : remarks_) log_.line(level, name() + ": " + text);
    return outcome;
  }

  /// Keeps a remark until nothing is held any more: whoever reads stderr may take his time too.
  void say_later(Level level, std::string text) { remarks_.emplace_back(level, std::move(text)); }

  const Request& request_;
  Store& store_;
  Signals& signals_;
  const Log& log_;
  Nanoseconds deadline_;
  Wish wish_;
  Backoff backoff_;
  bool waited_ = false;
  std::vector<std::pair<Level, std::string>> remarks_;
  uint32_t troubles_ = 0;
};

}  // namespace

Outcome get(const Request& request, Store& store, Signals& signals, const Log& log) {
  return Call(request, store, signals, log).carry_out();
}

Outcome run_uncached(const Request& request, Signals& signals) {
  Command command(
      {request.command, environment_for({request.key, "", "", "/dev/null", request.held}),
       request.max_runtime},
      signals);
  const Ending ending = command.run_plain();
  Outcome outcome = ended(How::bypass, ending.status);
  outcome.run_time = ending.run_time;
  note_interruption(outcome, ending);
  return outcome;
}

}  // namespace memolock
