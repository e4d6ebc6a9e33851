#include "cli/json.hpp"

#include "src/key.hpp"
#include "src/percent.hpp"

namespace memolock {
namespace {

using OnError = Json::error_handler_t;
enum class Characters { all, ascii };

std::string dumped(const Json& json, Characters which, OnError on_error) {
  return json.dump(-1, ' ', which == Characters::ascii, on_error);
}

bool is_utf8(const std::string& bytes) {
  return dumped(bytes, Characters::all, OnError::replace) ==
         dumped(bytes, Characters::all, OnError::ignore);
}

}  // namespace

std::string json_text(const Json& json) {
  std::string text = dumped(json, Characters::all, OnError::replace);
  // JSON may hold DEL, the C1 controls and what turns the direction of a text as they are.
  if (escape_controls(text) == text) return text;
  return dumped(json, Characters::ascii, OnError::replace);
}

void set_bytes(Json& json, const std::string& name, const std::string& bytes) {
  json[name] = bytes;
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
  const auto* const raw = reinterpret_cast<const unsigned char*>(bytes.data());
  if (!is_utf8(bytes)) json[name + "_hex"] = hex(raw, bytes.size());
}

}  // namespace memolock
