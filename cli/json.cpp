#include "cli/json.hpp"

#include "src/key.hpp"
#include "src/percent.hpp"

namespace memolock {
namespace {

std::string dumped(const Json& json, bool ascii_alone, Json::error_handler_t on_error) {
  return json.dump(-1, ' ', ascii_alone, on_error);
}

bool is_utf8(const std::string& bytes) {
  using OnError = Json::error_handler_t;
  return dumped(bytes, false, OnError::replace) == dumped(bytes, false, OnError::ignore);
}

}  // namespace

std::string json_text(const Json& json) {
  std::string text = dumped(json, false, Json::error_handler_t::replace);
  // JSON may hold DEL, the C1 controls and what turns the direction of a text as they are.
  if (escape_controls(text) == text) return text;
  return dumped(json, true, Json::error_handler_t::replace);
}

void set_bytes(Json& json, const std::string& name, const std::string& bytes) {
  json[name] = bytes;
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
  const auto* const raw = reinterpret_cast<const unsigned char*>(bytes.data());
  if (!is_utf8(bytes)) json[name + "_hex"] = hex(raw, bytes.size());
}

}  // namespace memolock
