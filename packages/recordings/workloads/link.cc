// What is linked: a C++ program that draws in much of the standard library.
#include <iostream>
#include <map>
#include <regex>
#include <string>
#include <vector>

int main() {
  std::map<std::string, std::vector<int>> lists;
  std::regex pattern("a+b");
  for (int i = 0; i < 10; i++) lists[std::to_string(i)].push_back(i);
  std::cout << lists.size() << std::regex_match("aab", pattern) << "\n";
}
