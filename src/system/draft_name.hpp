// The names that what is being restored has until all of it is complete.
//
// Of a restore that was killed they are left behind. They are never kept with an entry, and do not
// count in an id; the next restore in the same folder removes them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace memolock {

/// The names of one restore, in whichever folder.
class DraftNames {
 public:
  /// `token`: its own, as random_name().
  explicit DraftNames(std::string_view token);

  /// Of the file or link with that number.
  [[nodiscard]] std::string draft(size_t number) const;
  /// Of the first one before it is locked.
  [[nodiscard]] std::string unlocked() const;
  /// Of what stood in the place of the folder with that number.
  [[nodiscard]] std::string replaced(size_t folder) const;

  /// The token in such a name, of whichever restore; nothing: it is another name.
  [[nodiscard]] static std::optional<std::string_view> token_in(std::string_view name);
  [[nodiscard]] static bool has(std::string_view name) { return token_in(name).has_value(); }

 private:
  std::string prefix_;
};

}  // namespace memolock
