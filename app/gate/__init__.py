"""What stands between the network and Gradio: which routes there are, what they take, how much from whom at once."""
