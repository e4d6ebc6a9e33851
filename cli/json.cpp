#include "cli/json.hpp"

#include "src/percent.hpp"

namespace memolock {
namespace {

bool is_utf8(const std::string& bytes) {
  const Json text = bytes;
  return json_text(text) == text.dump(-1, ' ', false, Json::error_handler_t::ignore);
}

}  // namespace

void set_bytes(Json& json, const std::string& name, const std::string& bytes) {
  json[name] = bytes;
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
  const auto* const raw = reinterpret_cast<const unsigned char*>(bytes.data());
  if (!is_utf8(bytes)) json[name + "_hex"] = hex(raw, bytes.size());
}

}  // namespace memolock
