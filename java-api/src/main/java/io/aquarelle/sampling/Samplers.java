package io.aquarelle.sampling;

import io.aquarelle.sampling.DpmSdeSamplers.Correction;
import io.aquarelle.sampling.UniPcSampler.Variant;
import java.util.List;
import java.util.function.DoubleFunction;

/**
 * The samplers, by name. Each is a function that solves {@code dx/dsigma = (x - D(x; sigma)) / sigma} from
 * {@code sigmas[0]} to 0 (Karras et al. 2022, equation 3), some of them adding fresh noise on the way.
 *
 * <p>Those that draw noise make the same latent of the same {@link NoiseSource}. Those with "SDE" in A1111's name, but
 * for "dpm++2m_sde", draw their noise from a Brownian path, which is the same for any number of steps.
 */
public final class Samplers {
    /** Euler's method, "euler"; order 1. */
    public static final Sampler EULER = checked(EulerSamplers::euler);

    /** Euler's method with ancestral noise, "euler_a". */
    public static final Sampler EULER_ANCESTRAL = checked(EulerSamplers.ancestral(1));

    // By A1111's names, or ComfyUI's where it has none. DDIM is Euler's method in these variables.
    private static final Registry<Method> REGISTRY = new Registry<Method>("sampler")
            .add("euler", "Euler", plain(EulerSamplers::euler))
            .add("euler_a", "Euler a", noisy(1, EulerSamplers::ancestral), "euler_ancestral")
            .add("heun", "Heun", plain(SinglestepSamplers::heun))
            .add("dpm2", "DPM2", plain(SinglestepSamplers.dpm2(0)))
            .add("dpm2_a", "DPM2 a", noisy(1, SinglestepSamplers::dpm2), "dpm2_ancestral")
            .add("dpm++2s_a", "DPM++ 2S a", noisy(1, SinglestepSamplers::dpmPlusPlus2s), "dpm++2s_ancestral")
            .add("dpm++2m", "DPM++ 2M", plain(DpmMultistepSamplers::dpmPlusPlus2m))
            .add("dpm++2mv2", "DPM++ 2M v2", plain(DpmMultistepSamplers::dpmPlusPlus2mV2))
            .add("dpm++sde", "DPM++ SDE", noisy(1, eta -> DpmSdeSamplers.singlestep(eta, BrownianMotion.TREE)))
            .add("dpm++2m_sde", "DPM++ 2M SDE", multistep2(Correction.MIDPOINT, BrownianMotion.WHITE))
            .add("dpm++2m_sde_bt", "DPM++ 2M SDE BT", multistep2(Correction.MIDPOINT, BrownianMotion.TREE))
            .add("dpm++2m_sde_heun", "DPM++ 2M SDE Heun", multistep2(Correction.HEUN, BrownianMotion.TREE))
            .add("dpm++3m_sde", "DPM++ 3M SDE", noisy(1, eta -> DpmSdeSamplers.multistep3(eta, BrownianMotion.TREE)))
            .add("lms", "LMS", plain(LinearMultistepSamplers::lms))
            .add("ipndm", "iPNDM", plain(LinearMultistepSamplers::ipndm))
            .add("ipndm_v", "iPNDM_v", plain(LinearMultistepSamplers::ipndmVariable))
            .add("plms", "PLMS", plain(LinearMultistepSamplers::plms).on("leading"), "pndm")
            .add("ddim", "DDIM", noisy(0, EulerSamplers::ancestral).on("leading"), "ddim_leading")
            .add(
                    "ddim_trailing",
                    "DDIM trailing",
                    noisy(0, EulerSamplers::ancestral).on("simple"))
            .add("lcm", "LCM", plain(ConsistencySamplers::lcm).on("lcm"))
            .add("tcd", "TCD", new Method(0, ConsistencySamplers::tcd, "lcm"))
            .add("unipc", "UniPC", plain(UniPcSampler.uniPc(3, Variant.BH1)), "uni_pc_bh1")
            .add("unipc_bh2", "UniPC bh2", plain(UniPcSampler.uniPc(3, Variant.BH2)))
            .add("res_multistep", "Res Multistep", noisy(0, DpmMultistepSamplers::resMultistep))
            .add("res_2s", "Res 2s", noisy(0, SinglestepSamplers::res2s))
            .add("er_sde", "ER SDE", noisy(1, ErSdeSampler::erSde))
            .add("euler_cfg_pp", "Euler CFG++", plain(EulerSamplers.cfgPlusPlus(0)))
            .add("euler_a_cfg_pp", "Euler a CFG++", noisy(1, EulerSamplers::cfgPlusPlus), "euler_ancestral_cfg_pp")
            .add("euler_ge", "Euler GE", noisy(0, EulerSamplers::gradientEstimation), "gradient_estimation");

    private Samplers() {}

    /** A sampler for each eta, the eta if none is named, and the schedule that goes with it. */
    private record Method(double eta, Factory factory, String schedule) {
        Method on(String otherSchedule) {
            return new Method(eta, factory, otherSchedule);
        }
    }

    @FunctionalInterface
    private interface Factory {
        Sampler make(double eta, NoiseSchedule schedule);
    }

    private static Method plain(Sampler sampler) {
        return new Method(0, (eta, schedule) -> sampler, "discrete");
    }

    private static Method noisy(double eta, DoubleFunction<Sampler> factory) {
        return new Method(eta, (other, schedule) -> factory.apply(other), "discrete");
    }

    private static Method multistep2(Correction correction, BrownianMotion.Source source) {
        return noisy(1, eta -> DpmSdeSamplers.multistep2(eta, correction, source));
    }

    /** The names that commands use, which are those of stable-diffusion.cpp. */
    public static List<String> names() {
        return REGISTRY.names();
    }

    /**
     * The sampler with a name of stable-diffusion.cpp, A1111 or ComfyUI, with its default options; case, spaces,
     * hyphens, underscores and a leading "k_" do not matter, and "pp" is "++".
     *
     * @throws IllegalArgumentException if there is none; the message lists the names
     */
    public static Sampler byName(String name) {
        return byName(name, SamplerOptions.DEFAULT);
    }

    /**
     * The sampler with a name as for {@link #byName(String)}.
     *
     * @throws IllegalArgumentException if there is none; the message lists the names
     */
    public static Sampler byName(String name, SamplerOptions options) {
        Method method = REGISTRY.value(name);
        double eta = options.eta() == null ? method.eta : options.eta();
        return checked(method.factory.make(eta, options.noiseSchedule()));
    }

    /**
     * A1111's name of a sampler, as in an image's parameters: "Euler a" for "euler_a".
     *
     * @throws IllegalArgumentException if there is none; the message lists the names
     */
    public static String displayName(String name) {
        return REGISTRY.displayName(name);
    }

    /**
     * The name of the {@linkplain SigmaSchedules schedule} that a sampler runs on if none is named.
     *
     * @throws IllegalArgumentException if there is no such sampler; the message lists the names
     */
    public static String defaultSchedule(String name) {
        return REGISTRY.value(name).schedule;
    }

    /** Checks arguments before a run and the denoiser's results during it. */
    private static Sampler checked(Sampler sampler) {
        return (denoiser, latent, sigmas, noise, listener) -> {
            if (latent.length == 0) {
                throw new IllegalArgumentException("the latent is empty; there is nothing to sample");
            }
            check(sigmas);
            return sampler.sample(new SameLength(denoiser), latent, sigmas.clone(), noise, listener);
        };
    }

    private record SameLength(Denoiser denoiser) implements Denoiser {
        @Override
        public float[] denoise(float[] x, float sigma) {
            return require(x, denoiser.denoise(x, sigma));
        }

        @Override
        public Estimates estimates(float[] x, float sigma) {
            Estimates estimates = denoiser.estimates(x, sigma);
            require(x, estimates.guided());
            require(x, estimates.unconditional());
            return estimates;
        }

        private static float[] require(float[] x, float[] denoised) {
            if (denoised.length != x.length) {
                throw new IllegalStateException(
                        "the denoiser returned " + denoised.length + " values for a latent of " + x.length);
            }
            return denoised;
        }
    }

    private static void check(float[] sigmas) {
        if (sigmas.length < 2) {
            throw new IllegalArgumentException(
                    "sigmas has " + sigmas.length + " values; a run needs at least one noise level and the final 0");
        }
        for (int i = 0; i < sigmas.length; i++) {
            if (!Float.isFinite(sigmas[i]) || i > 0 && sigmas[i] >= sigmas[i - 1]) {
                throw new IllegalArgumentException("sigmas[" + i + "] is " + sigmas[i]
                        + "; noise levels must be finite and fall from each to the next");
            }
        }
        if (sigmas[sigmas.length - 1] != 0) {
            throw new IllegalArgumentException("sigmas ends in " + sigmas[sigmas.length - 1] + "; it must end in 0");
        }
    }
}
