// The locks that the ancestors of this process hold. They serve to detect a command that would wait
// for its own run.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/entry/key.hpp"

namespace memolock {

/// A lock that an ancestor of this process holds.
struct HeldLock {
  Key key;
  std::string token;
};

/// The locks in the value of MEMOLOCK_HELD, as format_held() writes them; skips all other words.
[[nodiscard]] std::vector<HeldLock> parse_held(std::string_view text);
/// The value of MEMOLOCK_HELD: "TAG:ID=TOKEN" for each lock, in percent-encoding, separated by
/// blanks.
[[nodiscard]] std::string format_held(const std::vector<HeldLock>& held);

}  // namespace memolock
