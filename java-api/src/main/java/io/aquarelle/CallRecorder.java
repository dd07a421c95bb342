package io.aquarelle;

import io.aquarelle.plan.Call;
import io.aquarelle.sampling.Denoiser;
import io.aquarelle.sampling.NoiseSchedule;
import io.aquarelle.sampling.Sampler;
import java.util.ArrayList;
import java.util.List;

/** Finds out which calls a sampler makes, which noise levels alone decide, by letting it sample a latent of one 0. */
final class CallRecorder implements Denoiser {
    private final NoiseSchedule schedule;
    private final List<Call> calls = new ArrayList<>();
    private int step;

    private CallRecorder(NoiseSchedule schedule) {
        this.schedule = schedule;
    }

    /** The calls of a run down {@code sigmas}; none if it has no step. */
    static List<Call> calls(Sampler sampler, float[] sigmas, NoiseSchedule schedule) {
        CallRecorder recorder = new CallRecorder(schedule);
        if (sigmas.length > 1) {
            sampler.sample(recorder, new float[1], sigmas, float[]::new, (step, denoised) -> recorder.step = step + 1);
        }
        return recorder.calls;
    }

    @Override
    public float[] denoise(float[] x, float sigma) {
        return record(x, sigma, false);
    }

    @Override
    public Estimates estimates(float[] x, float sigma) {
        return new Estimates(record(x, sigma, true), new float[x.length]);
    }

    private float[] record(float[] x, float sigma, boolean needsBoth) {
        calls.add(new Call(calls.size(), step, schedule.timestep(sigma), needsBoth));
        return new float[x.length];
    }
}
