#include "cli/json.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "src/system/percent.hpp"
#include "src/system/text.hpp"

namespace memolock {
namespace {

using Library = nlohmann::ordered_json;
using OnError = Library::error_handler_t;
enum class Characters { all, ascii };

std::string dumped(const Library& json, Characters which, OnError on_error) {
  return json.dump(-1, ' ', which == Characters::ascii, on_error);
}

bool is_utf8(const std::string& bytes) {
  return dumped(bytes, Characters::all, OnError::replace) ==
         dumped(bytes, Characters::all, OnError::ignore);
}

}  // namespace

struct Json::Value {
  Library json;
};

Json::Json(Value value) : value_(std::make_unique<Value>(std::move(value))) {}
Json::Json() : Json(Value{nullptr}) {}
Json::Json(bool value) : Json(Value{value}) {}
Json::Json(double value) : Json(Value{value}) {}
Json::Json(Signed number) : Json(Value{number.value}) {}
Json::Json(Unsigned number) : Json(Value{number.value}) {}
Json::Json(const char* text) : Json(Value{text}) {}
Json::Json(const std::string& text) : Json(Value{text}) {}
Json::Json(const std::vector<std::string>& texts) : Json(Value{texts}) {}
Json::Json(Json&& other) noexcept = default;
Json& Json::operator=(Json&& other) noexcept = default;
Json::~Json() = default;

Json Json::array() { return Json(Value{Library::array()}); }

void Json::set(const std::string& name, Json value) {
  value_->json[name] = std::move(value.value_->json);
}

void Json::set_bytes(const std::string& name, const std::string& bytes) {
  set(name, bytes);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
  const auto* const raw = reinterpret_cast<const unsigned char*>(bytes.data());
  if (!is_utf8(bytes)) set(name + "_hex", hex(raw, bytes.size()));
}

void Json::append(Json value) { value_->json.push_back(std::move(value.value_->json)); }

std::string Json::text() const {
  std::string text = dumped(value_->json, Characters::all, OnError::replace);
  // JSON permits unescaped invisible characters, but a person could not see them. To a program,
  // \u200b is the same text.
  if (escape_controls(text) == text) return text;
  return dumped(value_->json, Characters::ascii, OnError::replace);
}

}  // namespace memolock
