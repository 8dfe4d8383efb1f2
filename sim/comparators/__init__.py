"""Other ways to split a pass over boards, carried out on the same profile: what each sends, how long it takes."""
