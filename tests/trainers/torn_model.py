"""A tiny model that answers two tasks rightly or wrongly, about as often: GRPO's to mend."""

from __future__ import annotations

import shutil
from pathlib import Path

TASKS = {
    "reverse_string": ("s[::-1]", "s"),
    "is_palindrome": ("s == s[::-1]", "s"),
}
"""The returned expression of a right and of a wrong answer."""


def answers(name: str) -> list[str]:
    return [f"```python\ndef {name}(s):\n    return {value}\n```" for value in TASKS[name]]


def train_torn_model(tiny: Path, folder: Path) -> Path:
    """Teach the tiny model both answers to each task by plain full fine-tuning."""
    import torch
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    from axiom_rl.problems import make_problem
    from axiom_rl.problems.prompts import render
    from axiom_rl.sampling.hf.sampler import prompt_tokens

    tokenizer = PreTrainedTokenizerFast.from_pretrained(tiny)
    model = AutoModelForCausalLM.from_pretrained(tiny)
    rows = []
    for name in TASKS:
        problem = make_problem(name, difficulty=1, split="train", seed=0, index=0)
        prompt = prompt_tokens(tokenizer, render(problem, "direct"))
        for text in answers(name):
            rows.append((prompt, [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]))
    width = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids = torch.full((len(rows), width), tokenizer.pad_token_id)
    labels = torch.full((len(rows), width), -100)
    for row, (prompt, answer) in enumerate(rows):
        end = len(prompt) + len(answer)
        ids[row, :end] = torch.tensor(prompt + answer)
        labels[row, len(prompt) : end] = torch.tensor(answer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=8e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=200)
    # What is left is the choice between two answers, one bit in about 25 tokens (0.0275).
    for _ in range(200):
        loss = model(input_ids=ids, labels=labels).loss
        if loss.item() < 0.03:
            break  # before another step, which may leap away from here
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    shutil.copytree(tiny, folder, dirs_exist_ok=True)
    model.save_pretrained(folder)
    return folder
