// Names: of entries, and of every file, Redis key and channel that belongs to one. Nothing else in
// the project spells one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

/// What lies in a local store's directory beside the folders of tags, none of which begins so: the
/// folder of the counters, the file that says by its time when `gc` last ran, and the folder of
/// what is known of clusters.
inline constexpr std::string_view counters_folder = ".stats";
inline constexpr const char* gc_stamp = ".gc";
inline constexpr std::string_view clusters_folder = ".clusters";

/// The file of a tag's counters in their folder.
[[nodiscard]] std::string counters_file(std::string_view tag);

/// The file of a cluster's slots in their folder; `nodes`: those that its URL names.
[[nodiscard]] std::string slots_file(std::string_view nodes);

/// What is wrong with a tag or an id, in words that follow "--tag: " or "--id: "; nothing when it
/// will do.
[[nodiscard]] std::optional<std::string> check_tag(std::string_view tag);
[[nodiscard]] std::optional<std::string> check_id(std::string_view id);

/// One of the things that an id is made of.
struct KeyPart {
  std::string_view kind;  ///< "word", "file" and so on; a literal
  std::string name;       ///< for people
  std::string digest;     ///< of all that counts, as from digest_of; never the thing itself
};

/// The hash of some words and of the borders between them: 256 bits in hexadecimal digits.
[[nodiscard]] std::string digest_of(const std::vector<std::string_view>& words);

/// What the people who read `memolock ls` know a command by: its name, made of harmless letters.
[[nodiscard]] std::string id_stem(std::string_view command);

/// "STEM-HASH", HASH being that of the kinds and digests in their order: the same on every machine.
/// A stem that would make it too long for an id is cut.
[[nodiscard]] std::string derive_id(std::string_view stem, const std::vector<KeyPart>& parts);

/// The longest beginning of a text in UTF-8 that has at most so many bytes and ends with a whole
/// character: people read it.
[[nodiscard]] std::string_view cut_to(std::string_view text, size_t longest);

/// A text with everything escaped (\n, \x1b) but UTF-8 that can be seen, so that it cannot move the
/// cursor of a terminal nor look like another text.
[[nodiscard]] std::string escape_controls(std::string_view text);

/// The files of one entry below a local store's directory. Tag and id stand in them readably,
/// percent-escaped; one that is too long for a file name is cut and carries a hash instead.
struct EntryFileNames {
  explicit EntryFileNames(const Key& key);
  /// Of the entry to which `name`, found in `folder`, belongs; it is neither foreign nor a spool.
  EntryFileNames(std::string folder, std::string_view name);

  std::string folder;   ///< of the tag
  std::string entry;    ///< what the last kept run left
  std::string failed;   ///< the same of a failure
  std::string mark;     ///< that `once` has run, and when
  std::string lock;     ///< the run lock
  std::string run;      ///< the run in progress
  std::string wake;     ///< the FIFO on which its waiters sleep
  std::string promise;  ///< the FIFO by which others tell the holder of a promise

  /// The outcome of the run with this token, made by others.
  [[nodiscard]] std::string answer(std::string_view token) const;

 private:
  void name_all();

  std::string stem_;
};

enum class FileKind { entry, failed, mark, lock, run, wake, promise, answer, spool, foreign };

/// What a name found in a tag's folder is.
[[nodiscard]] FileKind kind_of_file(std::string_view name);

/// Whether an id is braced, as on a cluster, where the keys of one entry must be in one slot. One
/// with a hash tag of its own never is: there `x` and `{x}` are one entry.
enum class Brace { no, yes };

/// What is wrong with an id on a cluster, in words that follow "--id: ".
[[nodiscard]] std::optional<std::string> check_id_in_cluster(std::string_view id);

/// The keys and channels of one entry in Redis: the scheme of redis-memolock, and more of ours.
struct RedisNames {
  RedisNames(const Key& key, Brace brace);

  std::string value;       ///< stdout of what the last kept run left
  std::string lock;        ///< the holder's token
  std::string notif;       ///< channel: the value, as it is stored
  std::string meta;        ///< what else is known of that run
  std::string files;       ///< its artifacts
  std::string run;         ///< what the last run left that was not kept
  std::string part;        ///< a large value on its way in
  std::string files_part;  ///< the same of its artifacts
  std::string mark;        ///< that `once` has run, and when
  std::string fail;        ///< channel: a token, "look again"
};

/// The glob-style pattern of Redis that matches this tag alone.
[[nodiscard]] std::string glob_of(std::string_view tag);

/// A pattern for SCAN that matches all keys of a tag's entries, and some others; of every tag
/// without one.
[[nodiscard]] std::string redis_pattern(const std::optional<std::string>& tag);

/// The entry to which the Redis key `name` belongs, if its value, meta, lock or run has such a
/// name.
[[nodiscard]] std::optional<Key> key_of_redis_name(std::string_view name, Brace brace);

/// Of a key's name that by which a cluster chooses its slot: its hash tag, or all of it.
[[nodiscard]] std::string_view hashed_part(std::string_view name);

}  // namespace memolock
