package io.aquarelle;

import io.aquarelle.plan.StepPlan;
import java.util.List;

/** What the control nets of a request would compute down a course. */
final class ControlEstimate {
    private final Course course;
    private final ResidualUse use;

    ControlEstimate(Course course) {
        this.course = course;
        use = new ResidualUse(course.model().networks().unet(), course.height(), course.width());
    }

    /** Multiply-adds of the next call with a plan, in one of the run's steps. */
    double of(StepPlan plan, int step) {
        List<Control> active = active(step);
        double sum = 0;
        for (Course.Batch batch : active.isEmpty() ? List.<Course.Batch>of() : course.batches(plan)) {
            boolean[] wanted = use.wanted(plan, batch.tokens(), batch.branches(), active);
            for (Control control : active) {
                sum += control.net()
                        .estimate(batch.branches().size(), course.height(), course.width(), batch.tokens(), wanted);
            }
        }
        return sum;
    }

    /** Goes on to the call after one with that plan. */
    void compute(StepPlan plan, int step) {
        List<Control> active = active(step);
        for (Course.Batch batch : active.isEmpty() ? List.<Course.Batch>of() : course.batches(plan)) {
            boolean[] wanted = use.wanted(plan, batch.tokens(), batch.branches(), active);
            use.hold(wanted, batch.branches(), active);
        }
    }

    private List<Control> active(int step) {
        return course.request().controls().stream()
                .filter(it -> it.covers(step, course.steps()))
                .toList();
    }
}
