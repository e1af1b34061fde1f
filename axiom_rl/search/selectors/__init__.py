"""The selectors that come with axiom-rl, one file each."""

from axiom_rl.search.registry import register
from axiom_rl.search.selectors import codet, logprob, public, random, value, vote

register("random", random.choose)
register("logprob", logprob.choose, needs=["logprobs"])
register("public", public.choose)
register("vote", vote.choose, needs=["inputs"])
register("codet", codet.choose, needs=["written"])
register("value", value.choose, needs=["head"])
register("vote_value", value.choose_after_vote, needs=["inputs", "head"])
