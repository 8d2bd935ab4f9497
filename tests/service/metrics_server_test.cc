#include "service/metrics_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace mneme::service {
namespace {

// What the server sends back for `request`, until it closes.
std::string Exchange(int port, const std::string& request) {
  const int client = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(
      ::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
      0);
  EXPECT_EQ(::send(client, request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
  std::string answer;
  char piece[4096];
  ssize_t got = 0;
  while ((got = ::recv(client, piece, sizeof(piece), 0)) > 0) {
    answer.append(piece, static_cast<size_t>(got));
  }
  ::close(client);
  return answer;
}

std::string Ask(int port, const std::string& line) {
  return Exchange(port, line + "\r\nHost: x\r\nConnection: close\r\n\r\n");
}

TEST(MetricsServer, AnswersMetricsAndNothingElse) {
  const auto server =
      MetricsServer::Start("127.0.0.1", 0, [] { return "mneme_up 1\n"; });
  ASSERT_TRUE(server.ok()) << server.status();
  const int port = (*server)->port();
  const std::string answer = Ask(port, "GET /metrics HTTP/1.1");
  EXPECT_EQ(answer.rfind("HTTP/1.1 200", 0), 0u) << answer;
  EXPECT_NE(answer.find("mneme_up 1\n"), std::string::npos) << answer;
  // An error page once overran the stack of the library used before.
  for (const char* line :
       {"GET / HTTP/1.1", "GET /nope HTTP/1.0", "POST /metrics HTTP/1.1",
        "BREW /metrics HTTP/1.1"}) {
    EXPECT_NE(Ask(port, line).find(" 4"), std::string::npos) << line;
  }
  EXPECT_NE(Ask(port, "HEAD /metrics HTTP/1.1").find("200"), std::string::npos);
  Ask(port, "POST /metrics HTTP/1.1\r\nContent-Length: 99999999999");
  EXPECT_EQ(Ask(port, "GET /metrics HTTP/1.1").rfind("HTTP/1.1 200", 0), 0u);
}

TEST(MetricsServer, ATakenPortIsRefused) {
  const auto text = [] { return std::string(); };
  const auto first = MetricsServer::Start("127.0.0.1", 0, text);
  ASSERT_TRUE(first.ok());
  const auto second = MetricsServer::Start("127.0.0.1", (*first)->port(), text);
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status())) << second.status();
}

}  // namespace
}  // namespace mneme::service
