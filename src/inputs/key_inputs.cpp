#include "src/inputs/key_inputs.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <memory>
#include <utility>

#include "src/inputs/content_hash.hpp"
#include "src/inputs/derived_id.hpp"
#include "src/system/anonymous_file.hpp"
#include "src/system/error.hpp"

namespace memolock {
namespace {

KeyPart text_part(std::string_view kind, std::string name, std::string_view text) {
  return {kind, std::move(name), digest_of({kind, text})};
}

/// Contains only a hash of the value, because the value may be a secret.
KeyPart variable_part(const std::string& name) {
  if (const char* value = getenv(name.c_str()))
    return {"env", name, digest_of({"env", name, value})};
  return {"unset", name, digest_of({"unset", name})};
}

Error unreadable_stdin(int error) {
  return usage_error("cannot read stdin, which --key-stdin makes part of the id: " +
                     read_error_text(error));
}

Descriptor spool_stdin() {
  Descriptor file = temporary_file();
  if (!file)
    throw system_error("cannot create a temporary file for stdin in TMPDIR, /tmp or memory", errno);
  constexpr size_t step = 256U << 10;
  const auto buffer = std::make_unique_for_overwrite<char[]>(step);
  for (;;) {
    const ssize_t got = read_some(STDIN_FILENO, buffer.get(), step);
    if (got < 0) throw unreadable_stdin(errno);
    if (got == 0) break;
    if (const int error = write_all(file.get(), {buffer.get(), static_cast<size_t>(got)}))
      throw system_error("cannot copy stdin to a temporary file in TMPDIR or /tmp", error);
  }
  // The command will read from the current position.
  if (lseek(file.get(), 0, SEEK_SET) != 0) throw system_error("cannot rewind stdin", errno);
  return file;
}

std::vector<std::string> sorted(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

/// The parts from which the id is derived, and the parts that are shown, which include the files in
/// directories.
struct Parts {
  std::vector<KeyPart> counted;
  std::vector<KeyPart> shown;

  void add(KeyPart part) {
    shown.push_back(part);
    counted.push_back(std::move(part));
  }
};

/// Adds the working directory. Returns why that is not possible, or "".
std::string add_directory(Parts& parts) {
  std::error_code error;
  const std::string directory = std::filesystem::current_path(error);
  if (error) return "cannot determine the working directory: " + error_text(error.value());
  parts.add(text_part("directory", directory, directory));
  return "";
}

void add_words(Parts& parts, const std::string& id, const std::vector<std::string>& command) {
  if (!id.empty()) return parts.add(text_part("id", id, id));
  for (size_t i = 0; i < command.size(); ++i)
    parts.add(text_part("word", std::to_string(i + 1), command[i]));
}

/// Adds files, directories, and `input`, which is empty or contains all of stdin.
void add_contents(Parts& parts, const std::vector<std::string>& files, const Descriptor& input) {
  std::vector<Source> sources;
  sources.reserve(files.size() + 1);
  for (const std::string& path : files) sources.push_back({path});
  if (input) sources.push_back({"stdin", input.get()});
  auto contents = hash_contents(sources);
  if (input) contents.back().front() = {"stdin", "-", contents.back().front().digest};
  for (std::vector<KeyPart>& content : contents) {
    parts.add(std::move(content.front()));
    std::move(content.begin() + 1, content.end(), std::back_inserter(parts.shown));
  }
}

bool counts_directory(const std::string& id, KeyInputs::Directory policy) {
  if (policy == KeyInputs::Directory::by_default) return id.empty();
  return policy == KeyInputs::Directory::counts;
}

}  // namespace

DerivedId derive_key_id(const std::string& id, const std::vector<std::string>& command,
                        const KeyInputs& inputs) {
  const bool directory_counts = counts_directory(id, inputs.directory);
  const bool contents_count = !inputs.files.empty() || inputs.standard_input;
  DerivedId derived;
  if (!id.empty() && !directory_counts && inputs.variables.empty() && !contents_count) {
    derived.id = id;
    return derived;
  }
  Parts parts;
  add_words(parts, id, command);
  if (directory_counts) derived.error = add_directory(parts);
  for (const std::string& name : sorted(inputs.variables)) parts.add(variable_part(name));
  if (inputs.standard_input) derived.input = spool_stdin();
  if (contents_count) add_contents(parts, inputs.files, derived.input);
  derived.id = derive_id(id.empty() ? id_stem(command.front()) : id, parts.counted);
  derived.parts = std::move(parts.shown);
  return derived;
}

}  // namespace memolock
