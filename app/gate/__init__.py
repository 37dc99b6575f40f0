"""What stands between the network and Gradio: which routes there are, what they take, and from whom how much at once."""
