// What the store has of an entry, and what of it answers a call.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "src/entry/freshness.hpp"
#include "src/entry/request.hpp"
#include "src/store/store.hpp"
#include "src/system/log.hpp"
#include "src/system/signals.hpp"

namespace memolock {

/// What of the store answers a call.
struct LookupResult {
  enum class Kind {
    none,               ///< nothing answers: run the command, or wait
    fresh,              ///< `entry` is the answer: a success, or a failure that is kept
    stale,              ///< serve it; it is too soon to try again
    stale_and_refresh,  ///< serve it, and refresh it in the background
  };
  Kind kind = Kind::none;
  std::unique_ptr<Entry> entry;
};

class Lookup {
 public:
  /// Keeps references to all of it.
  Lookup(const Request& request, Store& store, const Log& log);

  /// Looks what there is. Throws Error(store).
  [[nodiscard]] LookupResult look();

  /// Whether the entry is sound and, if its run succeeded, has all artifacts that are asked for.
  [[nodiscard]] bool is_whole(Entry& entry);

  /// From now on no entry answers whose artifacts would have to be restored.
  void refuse_artifacts() { refuses_artifacts_ = true; }
  /// From now on what is found answers only if the run began by now (--refresh).
  void require_newer() { policy_.begun_since = store_.now(); }
  [[nodiscard]] const FreshnessPolicy& policy() const { return policy_; }

  /// How long the run took whose entry was found last, whatever its age.
  [[nodiscard]] std::optional<Nanoseconds> last_run_time() const { return last_run_time_; }

  /// The entry that was found fresh, but due to be refreshed early; null: none.
  [[nodiscard]] std::unique_ptr<Entry> take_due_early();
  /// The entry to be served when the command fails or the wait is over; null: none.
  [[nodiscard]] std::unique_ptr<Entry> take_fallback() { return std::move(fallback_); }
  /// The entry that was found last and answers nothing, for --on-timeout stale; null: none. It is
  /// in hand: with the wait the store's time is over, too.
  [[nodiscard]] std::unique_ptr<Entry> take_expired() { return std::move(expired_); }

 private:
  [[nodiscard]] bool is_to_be_refreshed(const Record& record, Nanoseconds now);
  [[nodiscard]] LookupResult judge_expired(std::unique_ptr<Entry> entry, Nanoseconds now);

  const Request& request_;
  Store& store_;
  const Log& log_;
  DedupLog once_;
  std::optional<Nanoseconds>
      reported_expiry_;  // when the entry ended of which it was said that it is old
  FreshnessPolicy policy_;
  std::unique_ptr<Entry> fallback_;
  std::unique_ptr<Entry> expired_;
  std::optional<Nanoseconds> last_run_time_;
  std::string early_;  // the token of the entry that is due
  bool refuses_artifacts_ = false;
  bool has_drawn_early_ = false;  // the lot whether an entry is due, once a call
};

/// "3m old", or what else there is to say.
[[nodiscard]] std::string describe_age(const Record& record, Nanoseconds now);

/// Restores the artifacts that are asked for; a failed run has none. Before replay(), so that who
/// reads of a success finds them. Throws as restore() does.
void restore_artifacts(const Request& request, Entry& entry, const Signals& signals);

/// Gives the caller what a run has written; the last thing that is done. Nothing may be held any
/// more: a signal may end this process, however long the readers take. `before_err`: what goes to
/// stderr first; writes it as Writing does.
[[nodiscard]] Outcome replay(Entry& entry, OutcomeKind kind, Store& store, const Signals& signals,
                             const std::function<int()>& before_err = nullptr) noexcept;

}  // namespace memolock
