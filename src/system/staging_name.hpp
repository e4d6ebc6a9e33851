// The temporary names of files that are being restored.
//
// A restore that is killed leaves files with such names behind. They are never packed into an
// archive and do not count in an id; the next restore into the same directory removes them.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace memolock {

/// The names that one restore uses, in any directory.
class StagingNames {
 public:
  /// `token`: identifies the restore, as random_name() returns it.
  explicit StagingNames(std::string_view token);

  /// Of a file or link, until it is moved into place.
  [[nodiscard]] std::string staged(size_t number) const;
  /// Of the first one, until it is locked.
  [[nodiscard]] std::string unlocked() const;
  /// Of a file or link whose place a directory has taken.
  [[nodiscard]] std::string replaced(size_t directory) const;

  /// The token in a staging name of any restore; nothing for other names.
  [[nodiscard]] static std::optional<std::string_view> token_in(std::string_view name);
  [[nodiscard]] static bool matches(std::string_view name) { return token_in(name).has_value(); }

 private:
  std::string prefix_;
};

}  // namespace memolock
