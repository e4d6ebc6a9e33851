// The place in the file system of a member of an archive. artifacts/pack.hpp describes the names of
// members.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace memolock {

struct MemberPlace {
  uint32_t index = 0;  ///< of the caller's path in the archive's list of paths
  /// The components of the relative path from there, as views of the member's name; no components:
  /// the caller's path itself. None is empty, ".", ".." or longer than a file name may be.
  std::vector<std::string_view> components;

  [[nodiscard]] bool is_root() const { return components.empty(); }
};

/// Parses the name of a member. Throws RefusedArchive for one that leads out of the caller's path.
[[nodiscard]] MemberPlace place_of(std::string_view name);

}  // namespace memolock
