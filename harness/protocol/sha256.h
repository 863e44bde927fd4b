// SHA-256 fed piece by piece (OpenSSL's), for what does not lie in one string.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace lockstep::protocol {

class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  void Update(std::span<const std::byte> bytes);
  void Update(const std::string& text);
  std::string Hex();  // 64 digits; the stream takes no more afterwards

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lockstep::protocol
