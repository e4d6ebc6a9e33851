// The name of an entry.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace memolock {

/// A tag and an id, which name an entry. The id is empty if a part of it cannot be determined: the
/// command then runs without the store and has no entry.
struct Key {
  std::string tag, id;

  /// For messages, with escape_controls() applied: "TAG:ID", or "TAG" if the id is empty.
  [[nodiscard]] std::string shown() const;

  bool operator==(const Key&) const = default;
};

/// The prefix of the ids and files that `doctor` creates to test a store.
inline constexpr std::string_view probe_prefix = "memolock-doctor-";

inline constexpr size_t max_id_size = 1024;  ///< bytes

/// The text after the tag in the names of an entry's Redis keys and channels (redis/names.hpp). No
/// tag may end with one of these.
namespace tag_suffix {
inline constexpr std::string_view lock = "/lock";
inline constexpr std::string_view notif = "/notif";
inline constexpr std::string_view meta = "/meta";
inline constexpr std::string_view files = "/files";
inline constexpr std::string_view run = "/run";
inline constexpr std::string_view part = "/part";
inline constexpr std::string_view fail = "/fail";
inline constexpr std::array all{lock, notif, meta, files, run, part, fail};
}  // namespace tag_suffix

/// Why a tag or an id is invalid, worded to follow the quoted value; nothing if it is valid.
[[nodiscard]] std::optional<std::string> check_tag(std::string_view tag);
[[nodiscard]] std::optional<std::string> check_id(std::string_view id);

}  // namespace memolock
