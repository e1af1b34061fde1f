"""Run one stage of an experiment: python launch.py trainer=expert_iter problems=basic seed=1."""

import logging
import os
import sys
from pathlib import Path

# OpenMP threads that spin while they wait make a busy machine many times slower; this must be set
# before torch is loaded. HYDRA_FULL_ERROR lets errors reach `main`, which words them.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("HYDRA_FULL_ERROR", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from axiom_rl.config import explain, register_schemas, resumed_config, to_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.run.sweep_jobs import resumed_command

log = logging.getLogger("axiom_rl")


@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def run(composed: DictConfig) -> None:
    """Convert the composed config and run its stage in the folder that Hydra made."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        config = to_config(composed)
        if config.resume is not None:
            config = resumed_config(config, list(HydraConfig.get().overrides.task))
        elif (folder / "config.yaml").exists():
            raise AxiomError(
                f"{folder} holds a run already: go on with it by resume={folder}, or give another "
                "folder with hydra.run.dir="
            )
        from axiom_rl.stages import run_stage

        run_stage(config, folder)
    except KeyboardInterrupt:
        if (folder / "config.yaml").exists():
            log.warning(
                "stopped; what is done is kept. Go on with: python launch.py resume=%s", folder
            )
        else:
            log.warning("stopped before the run began; there is nothing to go on with")
        raise
    except AxiomError as error:
        log.error("%s", error)
        raise


def main() -> int:
    """Return the exit status: 0 done, 2 for an error the user can repair, 130 for Ctrl-C."""
    register_schemas()
    for argument in sys.argv[1:]:
        if argument.startswith("resume=") and argument != "resume=null":
            folder = argument.removeprefix("resume=")
            others = [other for other in sys.argv[1:] if other != argument]
            sweep = resumed_command(Path(folder), others)
            if sweep is not None:
                sys.argv[1:] = sweep
                break
            if not Path(folder, "config.yaml").is_file():  # else Hydra would make the folder
                print(
                    f"error: {argument}: no config.yaml there; give a run folder", file=sys.stderr
                )
                return 2
            sys.argv.append(f"hydra.run.dir={folder}")
    try:
        run()
    except KeyboardInterrupt:
        return 130
    except AxiomError:
        return 2
    except (HydraException, OmegaConfBaseException) as error:
        print(f"error: {explain(error)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
