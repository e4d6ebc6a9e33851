// The secret that proves who holds a lock, and what else it tells of him.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/entry/key.hpp"
#include "src/system/clock.hpp"

namespace memolock {

/// Who runs a command, for people to read.
struct Holder {
  std::string host;
  int64_t pid = 0;
};

/// This one.
[[nodiscard]] Holder this_process();

/// Who produces a run's outcome.
enum class Producer : uint8_t {
  command,   ///< it is the command's output
  external,  ///< any process that has the run's token (--external)
};

/// What a token tells where the store keeps nothing else of a run in progress.
struct TokenParts {
  Holder holder;
  Nanoseconds begun{0};  ///< since the epoch
  Producer producer = Producer::command;
  std::optional<Nanoseconds> lease = std::nullopt;  ///< of the lock
};

/// The lease of a lock whose token does not say.
inline constexpr std::chrono::seconds default_lease{10};

/// A token that tells it, behind a random_name() that is its secret:
/// "SECRET-MILLISECONDS-PID-LEASE@HOST", LEASE being milliseconds, with "-external" before the "@"
/// where others keep the promise.
[[nodiscard]] std::string new_token(const TokenParts& parts);

/// What such a token says; nothing when another program made it.
[[nodiscard]] std::optional<TokenParts> parse_token(std::string_view token);

/// A lock held by an ancestor of this process, as MEMOLOCK_HELD carries it.
struct HeldLock {
  Key key;
  std::string token;
};
[[nodiscard]] std::vector<HeldLock> parse_held(std::string_view text);
[[nodiscard]] std::string format_held(const std::vector<HeldLock>& held);

}  // namespace memolock
