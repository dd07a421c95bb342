// Ways to compute the same, measured in turns so that a change of the machine's speed meets all of them.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "team.h"

namespace bench {

struct contender {
    std::string name;
    std::function<double()> run;  // returns the seconds that it took
    std::vector<double> seconds;

    double best() const { return *std::min_element(seconds.begin(), seconds.end()); }
    double median() const {
        std::vector<double> sorted = seconds;
        std::sort(sorted.begin(), sorted.end());
        const size_t n = sorted.size();
        return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
    }
};

// One round to warm up, then at least `least` rounds and as many more as end within `budget` seconds.
inline void race(std::vector<contender> &all, int least, double budget) {
    for (contender &c : all) c.run();
    const steady::time_point start = steady::now();
    for (int round = 0; round < least || (round < 1000 && seconds_since(start) < budget); round++) {
        for (contender &c : all) c.seconds.push_back(c.run());
    }
}

}  // namespace bench
