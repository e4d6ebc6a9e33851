// The name of an entry.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace memolock {

/// The name of an entry. An empty id is that of a run whose id cannot be known; it has no entry.
struct Key {
  std::string tag, id;

  /// "TAG:ID", or "TAG" without an id, with control bytes escaped, fit to be shown to a person.
  [[nodiscard]] std::string shown() const;

  bool operator==(const Key&) const = default;
};

/// How the ids and files begin by which a store is tried out.
inline constexpr std::string_view scratch_prefix = "memolock-doctor-";

inline constexpr size_t longest_id = 1024;  ///< bytes

/// What stands behind the tag in the names of an entry's Redis keys and channels (redis/names.hpp);
/// no tag ends so.
namespace tag_ending {
inline constexpr std::string_view lock = "/lock";
inline constexpr std::string_view notif = "/notif";
inline constexpr std::string_view meta = "/meta";
inline constexpr std::string_view files = "/files";
inline constexpr std::string_view run = "/run";
inline constexpr std::string_view part = "/part";
inline constexpr std::string_view fail = "/fail";
inline constexpr std::array all{lock, notif, meta, files, run, part, fail};
}  // namespace tag_ending

/// What is wrong with a tag or an id, in words that follow "--tag: " or "--id: "; nothing when it
/// will do.
[[nodiscard]] std::optional<std::string> check_tag(std::string_view tag);
[[nodiscard]] std::optional<std::string> check_id(std::string_view id);

}  // namespace memolock
