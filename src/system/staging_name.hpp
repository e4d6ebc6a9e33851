// The temporary names of files that are being restored.
//
// If a restore is killed, files with such names remain. They are never packed into an archive and
// are not part of an id. The next restore into the same directory removes them.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace memolock {

/// The names that one restore uses, in any directory.
class StagingNames {
 public:
  /// `token`: identifies the restore; created by random_name().
  explicit StagingNames(std::string_view token);

  /// The name of a file or link until it is moved into place. `number`: its number in the restore.
  [[nodiscard]] std::string staged(size_t number) const;
  /// The name of the first file until it is locked.
  [[nodiscard]] std::string unlocked() const;
  /// The name of a file or link that existed where the restore has created a directory.
  /// `directory`: the number of that directory.
  [[nodiscard]] std::string replaced(size_t directory) const;

  /// The token in a staging name of any restore; nothing for other names.
  [[nodiscard]] static std::optional<std::string_view> token_in(std::string_view name);
  [[nodiscard]] static bool matches(std::string_view name) { return token_in(name).has_value(); }

 private:
  std::string prefix_;
};

}  // namespace memolock
