// The token that proves who holds a lock, and the data about the holder in it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "src/system/clock.hpp"

namespace memolock {

/// The process that runs a command. Only for messages: it does not prove who holds the lock.
struct Holder {
  std::string host;
  int64_t pid = 0;
};

/// This process as a holder.
[[nodiscard]] Holder this_process();

/// The source of the outcome of a run.
enum class Producer : uint8_t {
  command,   ///< the command: its output and status
  external,  ///< any process that has the run's token (--external)
};

/// The data in a token, for stores that store nothing else about a run in progress.
struct TokenParts {
  Holder holder;
  Nanoseconds begun{0};  ///< since the epoch
  Producer producer = Producer::command;
  std::optional<Nanoseconds> lease = std::nullopt;  ///< of the lock
};

/// The default lease, which is also assumed for a lock whose token contains no lease.
inline constexpr std::chrono::seconds default_lease{10};

/// A new token: "SECRET-BEGUN-PID-LEASE@HOST", with "-external" before the "@" for an external
/// producer. SECRET is a random_name(); BEGUN and LEASE are in milliseconds.
[[nodiscard]] std::string new_token(const TokenParts& parts);

/// Parses such a token; nothing if another program has created it.
[[nodiscard]] std::optional<TokenParts> parse_token(std::string_view token);

}  // namespace memolock
