#include "src/artifacts/member_place.hpp"

#include <limits.h>

#include <charconv>
#include <system_error>

#include "src/artifacts/archive.hpp"
#include "src/system/text.hpp"

namespace memolock {

MemberPlace place_of(std::string_view name) {
  const auto refuse = [&] {
    return RefusedArchive("the stored artifacts contain a path that leads out of its directory: " +
                          escape_controls(name));
  };
  MemberPlace place;
  std::string_view rest = name;
  if (rest.ends_with('/')) rest.remove_suffix(1);  // how tar marks a directory
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), place.index);
  if (error != std::errc()) throw refuse();
  rest.remove_prefix(static_cast<size_t>(end - rest.data()));
  while (!rest.empty()) {
    if (rest.front() != '/') throw refuse();
    const std::string_view part = rest.substr(1, rest.find('/', 1) - 1);
    if (part.empty() || part == "." || part == ".." || part.size() > NAME_MAX) throw refuse();
    place.components.push_back(part);
    rest.remove_prefix(part.size() + 1);
  }
  return place;
}

}  // namespace memolock
