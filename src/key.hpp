// Names: of entries, and of every file that belongs to one. Nothing else in the project spells a
// file name.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace memolock {

/// The name of an entry.
struct Key {
  std::string tag, id;

  /// "TAG:ID" with control bytes escaped, fit to be shown to a person.
  [[nodiscard]] std::string shown() const;

  bool operator==(const Key&) const = default;
};

/// What is wrong with a tag or an id, in words that follow "--tag: " or "--id: "; nothing when it
/// will do.
[[nodiscard]] std::optional<std::string> fault_of_tag(std::string_view tag);
[[nodiscard]] std::optional<std::string> fault_of_id(std::string_view id);

/// The id of a command that was given none: the same on every machine for the same words in the
/// same directory. "WORD-HASH", WORD from the command's name for the people who read `memolock ls`.
[[nodiscard]] std::string derive_id(const std::vector<std::string>& command,
                                    std::string_view directory);

/// A text with everything but printable UTF-8 escaped (\n, \x1b), so that it cannot move the cursor
/// of a terminal.
[[nodiscard]] std::string escape_controls(std::string_view text);

/// The secret that proves who holds a lock: 32 hexadecimal digits.
[[nodiscard]] std::string new_token();

/// A lock held by an ancestor of this process, as MEMOLOCK_HELD carries it.
struct HeldLock {
  Key key;
  std::string token;
};
[[nodiscard]] std::vector<HeldLock> parse_held(std::string_view text);
[[nodiscard]] std::string format_held(const std::vector<HeldLock>& held);

/// The files of one entry below a local store's directory. Tag and id stand in them readably,
/// percent-escaped; one that is too long for a file name is cut and carries a hash instead.
struct EntryFiles {
  explicit EntryFiles(const Key& key);
  /// Of the entry to which `name`, found in `folder`, belongs; not for control files.
  EntryFiles(std::string folder, std::string_view name);

  std::string folder;   ///< of the tag
  std::string entry;    ///< what the last kept run left
  std::string lock;     ///< the run lock
  std::string run;      ///< the run in progress, on which waiters sleep
  std::string new_run;  ///< the same before its lock is taken

  /// MEMOLOCK_CONTROL of the run with this token: a name that no other run ever has, because the
  /// command may write to it as long as it likes.
  [[nodiscard]] std::string control(std::string_view token) const;

 private:
  void name_all();

  std::string stem_;
};

enum class FileKind { entry, lock, run, new_run, control, foreign };

/// What a name found in a tag's folder is.
[[nodiscard]] FileKind kind_of_file(std::string_view name);

}  // namespace memolock
