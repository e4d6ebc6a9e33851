// What an id is made of, where the caller's own words are not all that counts.
//
// The parts, in this order: the id that the caller has given, or else the words of the command; the
// working directory; the variables; the files and folders; standard input. Each has a kind and a
// digest, and the id is derive_id of them: the same on every machine for the same parts.
//
//   id, word      digest_of(KIND, TEXT), a word for each of the command
//   directory     digest_of("directory", PATH)
//   env, unset    digest_of("env", NAME, VALUE), or digest_of("unset", NAME)
//   file, folder  as src/inputs/content_hash.hpp says; its path does not count
//   stdin         as that of a file with these bytes
#pragma once

#include <string>
#include <vector>

#include "src/inputs/derived_id.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// What the caller wants to count beside an id or a command.
struct KeyInputs {
  enum class Directory { by_default, counts, left_out };  ///< by default it counts without an id

  Directory directory = Directory::by_default;
  std::vector<std::string> variables;  ///< names; neither their order nor repetition counts
  std::vector<std::string> files;      ///< paths of files and folders; their order counts
  bool standard_input = false;
};

struct Identity {
  std::string id;
  /// For people: the parts, and after a folder all that it holds. None of an id that stays as it
  /// was given.
  std::vector<KeyPart> parts;
  Descriptor input;   ///< all of stdin, to be read from its start, if it counts; else empty
  std::string fault;  ///< why the working directory, which counts, is not in the id; else empty
};

/// Gathers what counts; reads stdin to its end if that does, and blocks meanwhile. `id` may be
/// empty, or `command`, but not both. Throws Error(usage) for that, and for an input that cannot be
/// had; Error(store) when stdin finds no place in a temporary file.
[[nodiscard]] Identity identify(const std::string& id, const std::vector<std::string>& command,
                                const KeyInputs& inputs);

}  // namespace memolock
