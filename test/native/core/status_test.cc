#include "core/status.h"

#include <cstring>
#include <string>
#include <thread>

#include "doctest/doctest.h"

namespace kindling {

TEST_CASE("messages are formatted, bounded and belong to their thread") {
  CHECK(fail(Status::badShape, "op: %d of %s", 3, "four") == Status::badShape);
  CHECK(std::string(lastErrorMessage()) == "op: 3 of four");
  std::thread([] {
    CHECK(strlen(lastErrorMessage()) == 0);
    fail(Status::badDtype, "other");
  }).join();
  CHECK(std::string(lastErrorMessage()) == "op: 3 of four");
  fail(Status::badShape, "%s", std::string(5000, 'x').c_str());
  CHECK(strlen(lastErrorMessage()) < 1000);
}

}  // namespace kindling
